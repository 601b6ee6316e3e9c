#!/bin/sh
# The last part of `make demo`: documents of many formats become a wiki, past a kill.
# usage: demo.sh HIGHWATER REPOSITORY DIRECTORY DOCUMENTS
set -eu
highwater=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
repository=$(cd "$2" && pwd)
demo=$3
documents=$(cd "$(dirname "$4")" && pwd)/$(basename "$4")

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }
run() {
    printf '$ highwater %s\n' "$*"
    code=0
    "$highwater" "$@" || code=$?
    printf '(exit %s)\n' "$code"
}
expect() {
    [ "$code" = "$1" ] || { echo "demo: expected exit $1, got $code; make demo-clean begins anew" >&2; exit 1; }
}

mkdir -p "$demo"
cd "$demo"

if [ -e drained ]; then
    say "The knowledge base has every document. Added again, nothing is converted and nothing is written:"
    run kb add --kb notes inbox
    expect 0
    exit 0
fi

say "18. A knowledge base: documents of many formats, and what this project says of itself"
[ -d notes ] || run kb init notes
[ -d inbox ] || {
    "$documents" inbox
    cp -R "$repository/docs" inbox/docs
    cp "$repository/README.md" "$repository/ARCHITECTURE.md" inbox
}
ls inbox

say "19. Added one by one, and killed in the middle"
"$highwater" kb add --kb notes inbox --concurrency 1 --quiet &
pass=$!
tries=0
while [ -z "$(ls notes/wiki/summaries 2>/dev/null)" ] && kill -0 $pass 2>/dev/null && [ $tries -lt 200 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
kill -KILL $pass 2>/dev/null || true
wait $pass 2>/dev/null || true
echo "documents that are in: $("$highwater" kb list --kb notes --json 2>/dev/null | wc -l | tr -d ' ')"

say "20. Called again, it goes on where it was; nothing is torn, and nothing is there twice"
run kb add --kb notes inbox
expect 0

say "21. Every link leads somewhere, every document has its pages; and what was asked is found"
run kb lint --kb notes
expect 0
run kb search --kb notes --limit 3 tidal range
expect 0
run kb log --kb notes --limit 3
touch drained

cat <<EOT

What happened   every document became a page that says what it is about and a page with its text; what several say of a thing is on one
                page of its own; a kill cost nothing, and the wiki is what it would be without it.
Where it lies   $demo
                  notes/wiki/                       open this folder in Obsidian; index.md is where to begin
                  notes/raw/                        the documents as they were given
                  inbox/                            where they came from
What to try     cd $demo
                export PATH=$(dirname "$highwater"):\$PATH
                highwater kb list --kb notes
                highwater kb search --kb notes storm surge
                highwater kb remove --kb notes --dry-run tides
                highwater kb undo --kb notes
                highwater kb convert inbox/tides.pdf --to tides
EOT
