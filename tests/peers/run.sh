#!/bin/sh
# Software that no one here wrote: two servers that highwater harvests, a harvester of what highwater serves, two clients that upload to
# highwater, a server that it uploads to, one that asks the receiver everything that its document says, a reader of what it exports, and
# documents of many hands with two other readers of them.
# usage: run.sh HIGHWATER DIRECTORY [PEER...]     DIRECTORY gets a Python environment and packages of Node and is kept: a second run
#                                                 installs nothing
set -eu
highwater=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
here=$(cd "$(dirname "$0")" && pwd)
environment=$2/python
modules=$2/node

say() { echo "peers: $*" >&2; }
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
    { say "they need Python 3.10 or newer as python3: install it, or leave \`make peers\` to a machine that has it"; exit 1; }
if ! cmp -s "$here/requirements.txt" "$environment/installed"; then
    rm -rf "$environment"
    python3 -m venv "$environment" ||
        { say "python3 cannot make an environment: install its venv module (on Debian: apt-get install python3-venv)"; exit 1; }
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt" ||
        { say "pip could not install $here/requirements.txt: is the network there?"; exit 1; }
    cp "$here/requirements.txt" "$environment/installed"
fi

# Two of them are of Node: without it the rest is run, and what was not is told at the end.
without=""
if ! command -v node > /dev/null || ! command -v npm > /dev/null; then
    without="node and npm are not here: install Node 20.19 or newer"
elif ! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'; then
    without="node is $(node --version): install Node 20.19 or newer"
elif ! cmp -s "$here/package.json" "$modules/installed"; then
    rm -rf "$modules"
    mkdir -p "$modules"
    cp "$here/package.json" "$modules/"
    (cd "$modules" && npm install --silent --no-audit --no-fund --no-package-lock) ||
        { say "npm could not install $here/package.json: is the network there?"; exit 1; }
    cp "$here/package.json" "$modules/installed"
fi
[ -n "$without" ] || cp "$here"/*.mjs "$modules/"

shift 2
[ $# -gt 0 ] || set -- oai_repo_serves pyoai_serves sickle_harvests tuspy_uploads tus_js_uploads tus_server_receives \
    schemathesis_asks pyarrow_reads real_documents
failed="" left=""
# Documents are from Debian's packages, and pandoc is their other reader.
unread=""
for tool in apt-get dpkg-deb pandoc; do
    command -v $tool > /dev/null || unread="$tool is not here: on Debian, install pandoc"
done
for peer; do
    case $peer in
    tus_js_uploads | tus_server_receives) [ -z "$without" ] || { left="$left $peer"; say "not run: $peer, because $without"; continue; } ;;
    real_documents) [ -z "$unread" ] || { left="$left $peer"; say "not run: $peer, because $unread"; continue; } ;;
    esac
    "$environment/bin/python" -B -W ignore "$here/$peer.py" "$highwater" "$modules" || failed="$failed $peer"
done
[ -z "$failed" ] || say "no agreement:$failed"
[ -z "$failed$left" ]
