#!/bin/sh
# Inspects one file: hash, lines, class. The effect is one report a file, written beside and renamed, so that running it
# again does no harm. Exit codes are exec's: 0 done, 4 halt, 10 gone, anything else failed.
set -eu
file=$1
path=$REPOSITORY/$file
report=reports/$(printf '%s' "$file" | sha256sum | cut -c1-16)

[ -e "$path" ] || exit 10

case $file in
    Cargo.lock)
        # A question that only a person can answer: is a generated file part of the inventory?
        [ -e answers/generated ] || { echo "is a generated file part of the inventory? answer in answers/generated" >&2; exit 4; }
        class=generated ;;
    *.rs) class=code ;;
    *.md | LICENSE-*) class=text ;;
    *.toml | *.json) class=data ;;
    *.sql) class=sql ;;
    *.sh | Makefile) class=script ;;
    *.txt | *.snap) class=other ;;
    *) echo "no class for ${file##*/}" >&2; exit 1 ;;
esac

printf '%s\t%s\t%s\t%s\n' "$file" "$(sha256sum <"$path" | cut -d' ' -f1)" "$(wc -l <"$path")" "$class" >"$report.tmp"
mv "$report.tmp" "$report"
