#!/bin/sh
# Software that no one here wrote: two servers that highwater harvests, and a harvester of what highwater serves.
# usage: run.sh HIGHWATER DIRECTORY        DIRECTORY gets a Python environment and is kept: a second run installs nothing
set -eu
highwater=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
here=$(cd "$(dirname "$0")" && pwd)
environment=$2/python

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

failed=""
for peer in oai_repo_serves pyoai_serves sickle_harvests; do
    "$environment/bin/python" -B -W ignore "$here/$peer.py" "$highwater" || failed="$failed $peer"
done
[ -z "$failed" ] || { say "no agreement:$failed"; exit 1; }
