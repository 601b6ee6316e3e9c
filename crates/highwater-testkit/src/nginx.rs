//! An nginx of one's own that ends TLS before a receiver: what a user puts in front.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use tempfile::TempDir;

use crate::keeper::Keeper;
use crate::postgres::free_port;

/// Where Debian keeps it, which is on no ordinary user's `PATH`.
const INSTALLED: &str = "/usr/sbin/nginx";
/// How long it may take to listen, in tenths of a second.
const START_TENTHS: u32 = 300;

/// `$1` is the program, `$2` a private directory with its configuration, `$3` the limit for its start in tenths of a second.
const SCRIPT: &str = r#"
set -eu
trap '' HUP INT TERM
"$1" -p "$2" -c "$2/nginx.conf" -e "$2/error.log" >"$2/out" 2>&1 &
pid=$!
trap 'kill -QUIT $pid 2>/dev/null || :; wait $pid 2>/dev/null || :; rm -rf "$2"' EXIT
tenths=0
until [ -s "$2/pid" ]; do
    kill -0 $pid 2>/dev/null || { cat "$2/out" "$2/error.log" >&2; exit 1; }
    [ $tenths -lt "$3" ] || { echo "it does not come up" >&2; exit 1; }
    tenths=$((tenths + 1))
    sleep 0.1
done
echo ready
read -r _ || :
"#;

/// A running nginx. Dropping it stops it; so does the end of the test process.
#[derive(Debug)]
pub struct Nginx {
    // Dropped before the directory it works in.
    _keeper: Keeper,
    port: u16,
    _directory: TempDir,
}

impl Nginx {
    /// Starts one that wants a client certificate of `ca.pem` in `certificates`, shows `receiver.pem`, and passes everything on to
    /// `127.0.0.1:to` from the address `from`, with the name of the certificate in `X-Client-Name`.
    ///
    /// # Errors
    /// It is not installed (`make test` installs it), or does not start.
    pub fn before(to: u16, from: &str, certificates: &Path) -> io::Result<Self> {
        let program = program().ok_or_else(|| io::Error::other("nginx is not installed; `make test` installs it"))?;
        let directory = tempfile::Builder::new().prefix("nginx-").tempdir()?;
        let (place, port, certificates) = (directory.path().display(), free_port()?, certificates.display());
        // As root its workers would be another user, who may not enter the directory.
        let user = if nix::unistd::Uid::effective().is_root() { "user root;\n" } else { "" };
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("  {kind}_temp_path {place}/{kind};\n"))
            .concat();
        let configuration = format!(
            "{user}daemon off;\npid {place}/pid;\nerror_log {place}/error.log;\nworker_processes 1;\nevents {{}}\nhttp {{\n  access_log off;\n{temporary}\
             \n  server {{\n    listen 127.0.0.1:{port} ssl;\n    ssl_certificate {certificates}/receiver.pem;\n    ssl_certificate_key {certificates}/receiver.key;\n\
             \n    ssl_client_certificate {certificates}/ca.pem;\n    ssl_verify_client on;\n    client_max_body_size 0;\n\
             \n    location / {{\n      proxy_pass http://127.0.0.1:{to};\n      proxy_bind {from};\n      proxy_http_version 1.1;\n      proxy_request_buffering off;\n\
             \n      proxy_set_header Host $http_host;\n      proxy_set_header Client-Cert \"\";\n      proxy_set_header X-Client-Name $ssl_client_s_dn;\n    }}\n  }}\n}}\n"
        );
        fs::write(directory.path().join("nginx.conf"), configuration)?;
        let arguments = [program.display().to_string(), place.to_string(), START_TENTHS.to_string()];
        let keeper = Keeper::start(SCRIPT, &arguments.each_ref().map(String::as_str), None)?;
        Ok(Self { _keeper: keeper, port, _directory: directory })
    }

    /// Its port on the loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|directory| directory.join("nginx"));
    on_path.chain([INSTALLED.into()]).find(|program| program.is_file())
}
