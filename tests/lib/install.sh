# shellcheck shell=bash
# Installs what the parts need, each thing only when a part asks for it. Sourced by tests/run.
#
# Owns: .cache/, which git ignores. May not: use anything but the ordinary clients of package registries.

: "${root:?set by tests/run}" "${cache:?set by tests/run}"

# A C compiler and Python are in most machines; a bare Debian gets them from its own packages.
install_packages() { # WHAT PACKAGE...
    local what=$1
    shift
    if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        echo "tests/run: $what is missing; install it (Debian: apt-get install $*)" >&2
        return 1
    fi
    echo "installing $*"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

need_rust() {
    if ! command -v cargo >/dev/null; then
        if [[ ! -x $HOME/.cargo/bin/cargo ]]; then
            echo "tests/run: cargo is missing; install Rust from https://rustup.rs" >&2
            return 1
        fi
        PATH=$HOME/.cargo/bin:$PATH
    fi
    if ! command -v cc >/dev/null; then install_packages "a C compiler" gcc libc6-dev; fi
}

need_rust_component() { # rustfmt|clippy
    local subcommand=${1/rustfmt/fmt}
    if cargo "$subcommand" --version >/dev/null 2>&1; then return 0; fi
    echo "installing $1"
    rustup component add "$1"
}

# Of the whole monitoring system only the tool that checks what it would scrape; Debian has it in the server's package.
need_promtool() {
    if ! command -v promtool >/dev/null; then install_packages "promtool" prometheus; fi
}

# Alertmanager's own checker, likewise.
need_amtool() {
    if ! command -v amtool >/dev/null; then install_packages "amtool" prometheus-alertmanager; fi
}

# A server before the gateway, and what makes its certificates. Its package may start nothing here.
need_nginx() {
    if ! command -v nginx >/dev/null; then install_packages "nginx" nginx-light; fi
    if ! command -v openssl >/dev/null; then install_packages "openssl" openssl; fi
}

# An engine for images, what checks a compose file, and what makes base images of the distribution's packages. Needs root.
need_engine() {
    if ! command -v dockerd >/dev/null; then install_packages "an engine for images" docker.io iproute2; fi
    if ! command -v docker-compose >/dev/null; then install_packages "docker-compose" docker-compose; fi
    if ! command -v mmdebstrap >/dev/null; then install_packages "mmdebstrap" mmdebstrap; fi
}

# Judges units without systemd being the first process.
need_systemd_analyze() {
    if ! command -v systemd-analyze >/dev/null; then install_packages "systemd-analyze" systemd; fi
}

# The programs and libraries of tests/python/requirements.txt, in a virtual environment that is made again when it changes.
need_python() {
    # Debian keeps ensurepip, which a virtual environment needs, in a package of its own.
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then install_packages "Python with venv" python3 python3-venv; fi
    local wanted made=$cache/venv/made-from
    wanted=$(python3 --version && cat "$root/tests/python/requirements.txt")
    if [[ ! -f $made || $(<"$made") != "$wanted" ]]; then
        echo "installing tests/python/requirements.txt into ${cache#"$root"/}/venv"
        rm -rf "$cache/venv"
        python3 -m venv "$cache/venv"
        "$cache/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            --requirement "$root/tests/python/requirements.txt"
        printf '%s' "$wanted" >"$made"
    fi
    PATH=$cache/venv/bin:$PATH
    PAYGATE_ROTEL=$(python -c 'import pathlib, rotel; print(pathlib.Path(rotel.__file__).with_name("rotel-agent"))')
    export PAYGATE_ROTEL
}
