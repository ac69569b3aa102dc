# shellcheck shell=bash
# Installs xrpl.js and xrpl-py with what they need. Sourced by generate and cross-check.
#
# Owns: .cache/vectors, which git ignores. May not: use anything but the ordinary clients of package registries.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
vectors=$root/tests/vectors
cache=${PAYGATE_CACHE:-$root/.cache}/vectors

need_libraries() {
    local wanted made=$cache/made-from
    wanted=$(python3 --version && cat "$vectors/requirements.txt" "$vectors/package-lock.json")
    if [[ ! -f $made || $(<"$made") != "$wanted" ]]; then
        echo "installing xrpl.js and xrpl-py into $cache"
        rm -rf "$cache"
        mkdir -p "$cache"
        python3 -m venv "$cache/venv"
        "$cache/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            --requirement "$vectors/requirements.txt"
        cp "$vectors/package.json" "$vectors/package-lock.json" "$cache"
        PATH=$cache/venv/bin:$PATH npm ci --prefix "$cache" --ignore-scripts --no-audit --no-fund --silent
        printf '%s' "$wanted" >"$made"
    fi
    PATH=$cache/venv/bin:$PATH
    export NODE_PATH=$cache/node_modules
}
