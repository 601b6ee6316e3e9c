//! Compiles Markdown files and prints what they contribute, to be read cold.

use highwater_kb::DocName;
use highwater_kb::compile::{Builtin, Source};
use highwater_kb::convert::Converted;
use highwater_kb::tree;

fn main() -> std::io::Result<()> {
    for path in std::env::args_os().skip(1).map(std::path::PathBuf::from) {
        let bytes = std::fs::read(&path)?;
        let converted = Converted { markdown: String::from_utf8_lossy(&bytes).into_owned(), ..Converted::default() };
        let name = DocName::of_stem(&path.file_stem().unwrap_or_default().to_string_lossy());
        let tree = tree::build(&converted);
        let compiled = Builtin.compiled(Source { name: &name, converted: &converted, tree: &tree });
        println!(
            "=== {name}: {} ({})\n> {}\n\n{}",
            compiled.title, compiled.doc_type, compiled.description, compiled.summary
        );
        println!("sections: {}", tree::count(&compiled.tree));
        for it in &compiled.contributions {
            println!(
                "--- {}{} [{}]\n{}\n{}",
                if it.alone { "* " } else { "" },
                it.page,
                it.title,
                it.description,
                it.body
            );
        }
    }
    Ok(())
}
