#!/bin/sh
# `make demo`: one real backlog from plan to drained, with everything that goes wrong on the way.
# usage: demo.sh HIGHWATER REPOSITORY DIRECTORY
set -eu
highwater=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
REPOSITORY=$(cd "$2" && pwd)
export REPOSITORY
here=$REPOSITORY/examples/demo
demo=$3

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }
# A word as it can be pasted into a shell.
quoted() {
    case $1 in
        '' | *[!A-Za-z0-9_./:=,@%+-]*) printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")" ;;
        *) printf '%s' "$1" ;;
    esac
}
run() {
    printf '$ highwater'
    for word in "$@"; do
        printf ' '
        quoted "$word"
    done
    printf '\n'
    code=0
    "$highwater" "$@" || code=$?
    printf '(exit %s)\n' "$code"
}
expect() {
    [ "$code" = "$1" ] || { echo "demo: expected exit $1, got $code" >&2; exit 1; }
}

mkdir -p "$demo"
cd "$demo"
demo=$PWD
state() { "$highwater" --json status inspect 2>/dev/null; }

if grep -qs "^# The demo's configuration" highwater.toml && ! state | grep -q '"state":"drained"'; then
    say "An earlier demo was interrupted: this one starts over."
    # The pass that it had started may still work; it ends by itself, for its question if for nothing else.
    tries=0
    while state | grep -q '"running":{'; do
        [ $tries -lt 120 ] || { echo "demo: a pass of the earlier demo still runs; look with: $highwater status inspect" >&2; exit 1; }
        sleep 0.5
        tries=$((tries + 1))
    done
    rm -rf .highwater-state reports answers files.txt files.tmp all.tmp
fi

mkdir -p reports answers
cp "$here/highwater.toml" "$here/inspect.sh" .
chmod +x inspect.sh

if [ ! -e files.txt ]; then
    # Every file of the repository, and three that were there once.
    (cd "$REPOSITORY" && { git ls-files 2>/dev/null || find . -type f -not -path './target/*' -not -path './.git/*' | sed 's|^\./||'; }) |
        LC_ALL=C sort >all.tmp
    # The file that raises a question comes after two thirds of the others.
    grep -v '^Cargo.lock$' all.tmp | awk -v at="$(($(wc -l <all.tmp) * 2 / 3))" 'NR == at { print "Cargo.lock" } { print }' >files.tmp
    printf '%s\n' old/notes-2019.md old/plan.md old/scratch.rs >>files.tmp
    mv files.tmp files.txt
    rm all.tmp
fi

if state | grep -q '"state":"drained"'; then
    say "The backlog is drained already, so a pass starts nothing:"
    run run inspect
    expect 0
    say "To see it all again: make demo-clean demo"
    exit 0
fi

say "1. The backlog: $(wc -l <files.txt) files to hash, count and classify with a small shell script"
run run inspect --dry-run
expect 3

say "2. A first pass is killed on purpose (kill -9) while it works"
printf '$ highwater run inspect &\n'
"$highwater" run inspect &
pass=$!
tries=0
while [ "$(ls reports | wc -l)" -lt 40 ] && kill -0 $pass 2>/dev/null && [ $tries -lt 200 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
kill -9 $pass 2>/dev/null || true
wait $pass 2>/dev/null || true
echo "(killed after $(ls reports | wc -l) reports)"

say "3. The next pass goes on where it left off, and halts: a person must answer a question"
run run inspect
expect 4
say "   A halt holds: nothing starts until someone re-arms it"
run run inspect
expect 4
run status inspect
echo yes >answers/generated
run rearm inspect --why "generated files are part of the inventory"
expect 0

say "4. Passes until it is drained; what failed is tried again, then goes to review"
run run inspect --until-drained
expect 0

say "5. What is left for a person"
run items inspect --outcome review
run items inspect --outcome gone
run events --job inspect

say "Done."
cat reports/* | cut -f4 | sort | uniq -c | sort -rn | sed 's/^/   /'
cat <<EOF

What happened   a list of $(wc -l <files.txt) files was pinned, a pass was killed and lost nothing, a halt waited for a person,
                failures were tried twice and set aside, and the exit code said 0 only when every file had an outcome.
Where it lies   $demo
                  files.txt                   the worklist
                  reports/                    what the commands wrote
                  .highwater-state/ledger.db  what highwater remembers
What to try     cd $(quoted "$demo")
                export REPOSITORY=$(quoted "$REPOSITORY") PATH=$(quoted "$(dirname "$highwater")"):\$PATH
                highwater run inspect                       nothing starts: exit 0
                highwater items inspect --csv               every outcome
                highwater retry inspect --outcome review    then run it again
                seq 100 >n.txt; highwater exec -w n.txt -P 4 -- sh -c 'echo \$0; sleep 0.1'
                Then read README.md, and docs/operate.md before cron.
EOF
