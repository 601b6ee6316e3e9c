//! What can be typed about knowledge bases.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use highwater_engine::settings::{ByteSize, DurationText};

/// `kb`.
#[derive(Debug, Subcommand)]
pub(crate) enum KbVerb {
    /// Makes a knowledge base: a directory with `wiki/`, which Obsidian opens as it is, and `raw/`.
    ///
    /// Where there is a base already, nothing changes. A base of the older kind, with its registry in `.openkb/`, is taken over by
    /// `--adopt`: its documents and its pages become those of this base as they are, nothing is converted or compiled again, and what
    /// lies in `.openkb/`, a journal of a change that was cut off too, is told of and left alone.
    Init(KbInit),
    /// Adds documents: files, directories with every document below them, and addresses of the web.
    ///
    /// Each document gets a page that says what it is about, a page with its text, and its place on the pages of concepts and entities
    /// that it shares with others. A document that is there already is read where it lies and passed over, one that changed replaces its
    /// old version, and pages that you edited are kept: what is new is merged into them, or laid beside them. A call that is killed goes
    /// on with the next.
    ///
    /// With a language model, that writes the pages; else what is built in does, which asks nobody. What it was asked once it is never
    /// asked again, also after a kill: its answers are kept in the base.
    ///
    /// What lies at an address is fetched once, without what it shows or links, and kept in `raw/`; called again, it is fetched again, and
    /// is `present` where it is the same. One that does not answer is told of with what failed, and tried again by the same call. A
    /// redirect into a private network is not followed: name that address yourself.
    Add(KbAdd),
    /// Adds what appears or changes in directories, as `kb add` would, until SIGTERM.
    ///
    /// A file is added once it has been left alone for a while, so that none is taken half. What happened while nobody watched is
    /// found at the start, and what the system tells nothing of by a look at everything now and then. A file that goes is told of;
    /// its document stays in the base. A halt or a ban is told of and waited for.
    Watch(KbWatch),
    /// Takes documents out: their files, their sections on pages that they share with others, and links to them.
    ///
    /// Says every file that it touches, the index and the log too. A page on which nothing is left goes; a page that you kept, such as
    /// an exploration, has words where it linked what goes; what you edited stays. Several documents go by one change, which `kb undo`
    /// takes back. What was removed can be added again.
    Remove(KbRemove),
    /// Makes documents anew from what they were given as: converts and compiles them again, as after an update of highwater.
    ///
    /// A document keeps its name and its place. What comes out as it is there already, whole, is `present`, and nothing of it is
    /// written; what the base keeps of it and is gone or damaged is stored again, which is no generation: `kb undo` takes back what was done
    /// before. Documents that say nothing, since it is lost what was made of them, come first and together. A call that is killed goes on
    /// with the next. With a language model, that writes the pages, and with another one it writes them anew; what it was asked once it is
    /// not asked again.
    Recompile(KbRecompile),
    /// Lists the documents of a base, in the order in which they were added.
    List(KbWhich),
    /// Finds passages that say these words.
    ///
    /// What is found is what the base has. Of a page that a person edited or deleted since that is said (with `--json` in `stands`): its
    /// lines are those before.
    Search(KbSearch),
    /// Answers a question from a base.
    ///
    /// With a language model, that answers from the passages that say most of it, and names them: what it cites is checked to be among
    /// them, what it links to be there. Without one, the passages are shown themselves, the best first, with the lines where they stand.
    /// A question that was asked before, of a base that says the same of it, costs nothing.
    Query(KbQuery),
    /// Answers questions line by line, each with what was said before; needs a language model.
    ///
    /// Each line of standard input is a question, at a terminal or in a pipe. What is said is kept, and a session goes on where it was
    /// left.
    Chat(KbChat),
    /// Takes a base back to what an earlier generation had, by a new one with the old contents.
    ///
    /// What stood in `wiki/` and `raw/` then stands there again: your own versions, and what lay beside them, too. What you wrote since is met
    /// as by any other change, and stays; what you deleted since stays away. `kb log` shows the generations.
    Undo(KbUndo),
    /// Looks for what is wrong in a base, or differs from what it has.
    ///
    /// Faults: links that lead nowhere, conflicts, documents without their file or their pages, files in `raw/` that nobody added, front
    /// matter, and bytes that are not stored or damaged. Notes: what people edited, deleted or made, pages that nothing links to, names
    /// of concepts that say nearly the same, bytes that only an earlier generation had. Nothing is written without `--fix` or `--report`. Exit 0 when there are notes alone, 4 when
    /// there are faults.
    Lint(KbLint),
    /// Shows where a base stands, in figures.
    ///
    /// What you edited and deleted is told as it was when a change last met it: `kb lint` looks at the files.
    Status(KbWhich),
    /// Ends a conflict: of a page that you had edited where a change did, too, and of the version beside it, one stays.
    ///
    /// The other one is kept in `.highwater/quarantine/` where it is yours. With `--theirs`, a file that you deleted comes back. What is
    /// added later is merged with the one that stays.
    Resolve(KbResolve),
    /// Makes the database of a base again, from what is stored beside it.
    ///
    /// What `.highwater/kb.db` tells follows from `.highwater/objects/`. What is there of it is set aside in `.highwater/quarantine/`.
    /// Something that is damaged or missing stops nothing: it is set aside, and named; then the exit code is 4. A call that is killed is
    /// made again.
    Rebuild(KbRebuild),
    /// Draws the pages of a base and their links as one HTML page, which needs no network.
    ///
    /// Pages of documents, concepts, entities and kept answers are drawn, each in the colour of its kind. A click tells what a page is
    /// called and what it links; words find pages.
    Visualize(KbVisualize),
    /// Shows what was done to a base, the newest first.
    Log(KbLog),
    /// Removes what nothing in a base refers to: what calls that were killed, and documents that were refused, left behind.
    ///
    /// Every generation is kept with all it had. What is found is removed by a later call, once nothing referred to it for the time of
    /// grace: a `kb add` beside this one may be about to. What is half written waits until nobody adds. `kb add` and `kb recompile` do
    /// the same at their end, once a day.
    Gc(KbGc),
    /// Converts one document to Markdown, as `kb add` would, without a base.
    ///
    /// Reads PDF, DOCX, XLSX, PPTX, DOC, XLS, PPT, XLSB, ODS, EPUB, HTML, CSV, TSV, Markdown and text, by what is in the file
    /// rather than by its name. DIR gets `text.md`, `images/`, and last `conversion.json`: format, converter, title, on which
    /// line each page begins, the images. The conversion is a process of its own with limited time and memory. A symlink is not
    /// followed. Exit 2 says what is wrong with the document.
    Convert(KbConvert),
}

impl KbVerb {
    /// The base that is named.
    pub(crate) fn kb(&self) -> Option<&Path> {
        let which = match self {
            Self::List(which) | Self::Status(which) => which,
            Self::Add(args) => &args.which,
            Self::Watch(args) => &args.which,
            Self::Remove(args) => &args.which,
            Self::Recompile(args) => &args.which,
            Self::Search(args) => &args.which,
            Self::Query(args) => &args.which,
            Self::Chat(args) => &args.which,
            Self::Undo(args) => &args.which,
            Self::Lint(args) => &args.which,
            Self::Resolve(args) => &args.which,
            Self::Rebuild(args) => &args.which,
            Self::Visualize(args) => &args.which,
            Self::Log(args) => &args.which,
            Self::Gc(args) => &args.which,
            Self::Init(_) | Self::Convert(_) => return None,
        };
        which.kb.as_deref()
    }
}

/// Which base a command is about.
#[derive(Debug, Args)]
pub(crate) struct KbWhich {
    /// The knowledge base. Without it, the nearest one at or above the working directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) kb: Option<PathBuf>,
}

/// `kb init`.
#[derive(Debug, Args)]
pub(crate) struct KbInit {
    /// The directory; it is made where it is not there.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,
    /// Takes over the base of the older kind that is there.
    #[arg(long)]
    pub(crate) adopt: bool,
    /// Says what would be taken over, what would not and why, and writes nothing.
    #[arg(long, requires = "adopt")]
    pub(crate) dry_run: bool,
}

/// `kb add`.
#[derive(Debug, Args)]
pub(crate) struct KbAdd {
    /// Files, directories, and addresses that begin with `http://` or `https://`.
    #[arg(value_name = "PATH|URL", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) which: KbWhich,
    /// Documents that are prepared at once. Without it, one for each processor. The result is the same.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) concurrency: Option<u16>,
    /// Says what would be added and writes nothing; exit 3 while there is something to do.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) limits: super::Limits,
    #[command(flatten)]
    pub(crate) llm: super::KbLlm,
}

/// `kb watch`.
#[derive(Debug, Args)]
pub(crate) struct KbWatch {
    /// Directories, and files.
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) which: KbWhich,
    /// Documents that are prepared at once. Without it, one for each processor.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) concurrency: Option<u16>,
    /// How long a file must have been left alone before it is added.
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub(crate) settle: DurationText,
    /// How often everything is looked at in any case: what the system tells nothing of, as on a network file system, is found then.
    #[arg(long, value_name = "TIME", default_value = "5m")]
    pub(crate) rescan: DurationText,
    #[command(flatten)]
    pub(crate) llm: super::KbLlm,
}

/// `kb remove`.
#[derive(Debug, Args)]
pub(crate) struct KbRemove {
    /// Documents: as `kb list` shows them, or the paths they were added from.
    #[arg(value_name = "DOC", required = true)]
    pub(crate) documents: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) which: KbWhich,
    /// Leaves the documents as they were given in `raw/`.
    #[arg(long)]
    pub(crate) keep_raw: bool,
    /// Says every file that would be touched and writes nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `kb recompile`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("chosen").required(true).args(["documents", "all"]))]
pub(crate) struct KbRecompile {
    /// Documents: as `kb list` shows them, or the paths they were added from.
    #[arg(value_name = "DOC")]
    pub(crate) documents: Vec<PathBuf>,
    /// Every document of the base.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) which: KbWhich,
    /// Documents that are prepared at once. Without it, one for each processor. The result is the same.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) concurrency: Option<u16>,
    #[command(flatten)]
    pub(crate) limits: super::Limits,
    #[command(flatten)]
    pub(crate) llm: super::KbLlm,
}

/// `kb search`.
#[derive(Debug, Args)]
pub(crate) struct KbSearch {
    /// The words.
    #[arg(value_name = "WORD", required = true)]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) which: KbWhich,
    /// Most places that are shown.
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) limit: u16,
}

/// `kb query`.
#[derive(Debug, Args)]
pub(crate) struct KbQuery {
    /// The question.
    #[arg(value_name = "QUESTION", required = true)]
    pub(crate) question: Vec<String>,
    #[command(flatten)]
    pub(crate) which: KbWhich,
    /// Keeps the answer as a page in `wiki/explorations/`. The same question again replaces it.
    #[arg(long)]
    pub(crate) save: bool,
    #[command(flatten)]
    pub(crate) llm: super::KbLlm,
}

/// `kb chat`.
#[derive(Debug, Args)]
pub(crate) struct KbChat {
    #[command(flatten)]
    pub(crate) which: KbWhich,
    /// The session that goes on, or begins under this name. Without it a new one begins, and says what it is called.
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,
    /// Lists the sessions of the base.
    #[arg(long, conflicts_with = "session")]
    pub(crate) list: bool,
    #[command(flatten)]
    pub(crate) llm: super::KbLlm,
}

/// `kb undo`.
#[derive(Debug, Args)]
pub(crate) struct KbUndo {
    /// The generation to go back to; 0 is the empty base. Without it, the one before the newest.
    #[arg(value_name = "GENERATION")]
    pub(crate) generation: Option<u32>,
    #[command(flatten)]
    pub(crate) which: KbWhich,
    /// Goes back, too, where something that you had in a file then is not stored any more, or damaged: that file stands as the base had it
    /// then, or stays as it is, and is named. Without it nothing is changed then.
    #[arg(long)]
    pub(crate) partly: bool,
}

/// `kb lint`.
#[derive(Debug, Args)]
pub(crate) struct KbLint {
    #[command(flatten)]
    pub(crate) which: KbWhich,
    /// Mends what can be mended, by one generation that `kb undo` takes back: links are made to lead to the one page whose name says the
    /// same, else they become the words they read as; bytes are stored again from files that still have them, and those of the index, the
    /// log and `AGENTS.md` are made again.
    #[arg(long)]
    pub(crate) fix: bool,
    /// Keeps what was found as a page: `wiki/reports/lint-DATE.md`.
    #[arg(long)]
    pub(crate) report: bool,
    /// Reads the bytes of everything that is stored, what only earlier generations had among it, and of every file. Without it, of what is
    /// no page it is looked whether it is there, and a file.
    #[arg(long)]
    pub(crate) verify: bool,
    /// Has a language model read every page that documents share, as the base has it, for statements that contradict each other or are
    /// out of date, and for what is missing. What it finds are notes, each with the words that it is about; what the page does not say
    /// is not told. A page that is as it was is not paid for again.
    #[arg(long)]
    pub(crate) with_llm: bool,
    #[command(flatten)]
    pub(crate) llm: super::KbLlm,
}

/// `kb resolve`.
#[derive(Debug, Args)]
pub(crate) struct KbResolve {
    /// The page: `concepts/tides`, `wiki/concepts/tides.md`, or its whole path.
    #[arg(value_name = "PAGE")]
    pub(crate) page: PathBuf,
    #[command(flatten)]
    pub(crate) side: KbSide,
    #[command(flatten)]
    pub(crate) which: KbWhich,
}

/// Which version of a page stays.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct KbSide {
    /// Yours stays, and the one beside it goes.
    #[arg(long)]
    pub(crate) mine: bool,
    /// What the base has stays.
    #[arg(long)]
    pub(crate) theirs: bool,
}

/// `kb rebuild`.
#[derive(Debug, Args)]
pub(crate) struct KbRebuild {
    #[command(flatten)]
    pub(crate) which: KbWhich,
    /// Also where the database can be used.
    #[arg(long)]
    pub(crate) force: bool,
}

/// `kb visualize`.
#[derive(Debug, Args)]
pub(crate) struct KbVisualize {
    #[command(flatten)]
    pub(crate) which: KbWhich,
    /// Where the page is written. One that was drawn before is written over.
    #[arg(long, value_name = "FILE", default_value = "kb-graph.html")]
    pub(crate) out: PathBuf,
    /// Writes over a file that is something else, too.
    #[arg(long)]
    pub(crate) force: bool,
    /// Most pages that are drawn: those with the most links.
    #[arg(long, value_name = "N", default_value = "5000", value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub(crate) pages: u32,
}

/// `kb log`.
#[derive(Debug, Args)]
pub(crate) struct KbLog {
    #[command(flatten)]
    pub(crate) which: KbWhich,
    /// Most generations that are shown.
    #[arg(long, value_name = "N", default_value = "20")]
    pub(crate) limit: u32,
}

/// `kb gc`.
#[derive(Debug, Args)]
pub(crate) struct KbGc {
    #[command(flatten)]
    pub(crate) which: KbWhich,
    /// How long nothing must have referred to what is removed. With `0s`, a `kb add` beside this call may begin some documents anew.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub(crate) grace: DurationText,
    /// Says what would be removed, and removes nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `kb convert`.
#[derive(Debug, Args)]
pub(crate) struct KbConvert {
    /// The document.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where what comes of it is written; it is made, or is there and empty.
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) to: PathBuf,
    /// Time of a processor it may take, and a second more for each MiB of the document; four times as long by the clock.
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub(crate) time_max: DurationText,
    /// Memory it may need.
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    pub(crate) memory_max: ByteSize,
    /// This process is the conversion: it binds itself to these limits, as JSON.
    #[arg(long, value_name = "LIMITS", hide = true)]
    pub(crate) inside: Option<String>,
    /// The directory whose images the document may show.
    #[arg(long, value_name = "DIR", hide = true, requires = "inside")]
    pub(crate) beside: Option<PathBuf>,
}
