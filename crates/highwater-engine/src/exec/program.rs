//! Where a program is. Owns the search that a shell makes in the command's own directory and environment, so that a path such
//! as `./load` never depends on where highwater was started.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

/// Where programs are looked for when there is no `PATH`.
const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// The file to start for `program`: with a `/` in it it counts from `directory`, without one it is searched on `path`, else on
/// this process's own `PATH`. One that is not found is given back as it is, and starting it says so.
pub(super) fn find(program: &str, directory: &Path, path: Option<&str>) -> PathBuf {
    if program.contains('/') {
        return directory.join(program);
    }
    let path = path.map(OsString::from).or_else(|| std::env::var_os("PATH")).unwrap_or_else(|| PATH_DEFAULT.into());
    // An empty entry is the working directory.
    let mut found = std::env::split_paths(&path).map(|entry| directory.join(entry).join(program));
    found.find(|file| starts(file)).unwrap_or_else(|| program.into())
}

fn starts(file: &Path) -> bool {
    file.is_file() && rustix::fs::access(file, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_program_is_found_as_a_shell_in_its_directory_would() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path();
        for (name, mode) in [("bin/load", 0o755), ("late/load", 0o755), ("bin/note", 0o644), ("late/note", 0o755)] {
            let file = here.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        }
        let find = |program| find(program, here, Some("bin:none:late"));
        assert_eq!(find("./late/load"), here.join("late/load"));
        assert_eq!(find("/bin/sh"), Path::new("/bin/sh"));
        assert_eq!(find("load"), here.join("bin/load"));
        assert_eq!(find("note"), here.join("late/note"), "one that may not be executed is passed over");
        std::fs::copy(here.join("bin/load"), here.join("here")).unwrap();
        assert_eq!(find("here"), Path::new("here"), "the directory itself is not searched");
    }
}
