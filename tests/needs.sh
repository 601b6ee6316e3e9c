#!/bin/sh
# Installs what the tests need and the machine lacks, from Debian's packages; says clearly where it cannot.
set -eu

missing=""
command -v flock >/dev/null 2>&1 || missing="$missing util-linux"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1 || missing="$missing postgresql"
command -v pgbouncer >/dev/null 2>&1 || [ -x /usr/sbin/pgbouncer ] || missing="$missing pgbouncer"
command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ] || missing="$missing nginx"
command -v git >/dev/null 2>&1 || missing="$missing git"
command -v zstd >/dev/null 2>&1 || missing="$missing zstd"
command -v systemd-analyze >/dev/null 2>&1 || missing="$missing systemd"
command -v groff >/dev/null 2>&1 || missing="$missing groff-base"
# Any browser of that family does.
command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
if [ "$(id -u)" = 0 ]; then
    command -v mkfs.ext4 >/dev/null 2>&1 || missing="$missing e2fsprogs"
    command -v mkfs.xfs >/dev/null 2>&1 || missing="$missing xfsprogs"
fi
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "The tests need$missing, and this machine has no apt-get: install them with its own package manager." >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then sudo=""; elif command -v sudo >/dev/null 2>&1; then sudo="sudo"; else
    echo "The tests need$missing; as root: apt-get install$missing" >&2
    exit 1
fi
echo "Installing what the tests need:$missing"
# The packages of PostgreSQL, pgbouncer and nginx would start one of their own; the tests start theirs.
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
