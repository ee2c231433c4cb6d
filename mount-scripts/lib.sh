# shellcheck shell=bash
# What the scripts beside this file share; they source it.

# With the seconds since the script began.
heading() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }

fail() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    shift
    if (($#)); then printf '  %s\n' "$@" >&2; fi
    exit 1
}

# need TOOL=PACKAGE...
# Installs the Debian packages of the tools that are missing. Asks nothing of apt, and needs no
# rights, when all are there.
need() {
    local pair missing=()
    for pair; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    ((${#missing[@]})) || return 0
    apt_install "${missing[@]}"
}

# apt_install PACKAGE...
apt_install() {
    local install=(apt-get install -y --no-install-recommends "$@")
    if ! command -v apt-get >/dev/null; then
        fail "this system has no apt-get, so what is missing cannot be installed here" \
            "Please install what Debian calls: $*"
    fi
    local as_root=()
    if ((EUID != 0)); then
        if ! command -v sudo >/dev/null; then
            fail "installing needs root, and there is no sudo" "As root, run: ${install[*]}"
        fi
        as_root=(sudo)
    fi
    heading "Installing $*"
    # The lists of packages are fresh enough for all calls after the first.
    [[ -n ${apt_updated-} ]] || "${as_root[@]}" apt-get update
    apt_updated=yes
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "${install[@]}"
}

# The programs that play packages in the tests. Their other parts, players for browsers and Shaka
# Packager, the tests have from npm and PyPI.
need_players() {
    need chromium=chromium mpv=mpv vlc=vlc-bin vlc=vlc-plugin-base node=nodejs npm=npm \
        pip3=python3-pip /usr/bin/python3=python3
    # GStreamer is a library with plugins, so it is asked itself.
    local missing
    missing=$(/usr/bin/python3 tests/suite/players/programs/gstreamer.py missing)
    # shellcheck disable=SC2086 # several packages
    [[ -z $missing ]] || apt_install $missing
}

# Node and npm for the node's page, with a root of this repository. puppeteer wants a Node that is newer
# than most systems have; npm has it as a package for each processor.
need_node() {
    need node=nodejs npm=npm
    local at="$1/web/node_modules/.node" have processor
    have=$(node -p 'process.versions.node.split(".")[0]')
    ((have < 22)) || return 0
    if [[ ! -x $at/bin/node ]]; then
        case $(uname -m) in
            x86_64) processor=x64 ;;
            aarch64) processor=arm64 ;;
            *) fail "Node 22 or later is missing" "Install it from https://nodejs.org, then run this again." ;;
        esac
        heading "Installing Node 22 below web/node_modules"
        mkdir -p "$at/bin"
        npm install --prefix "$at" --no-save --no-audit --no-fund --ignore-scripts "node-linux-$processor@^22.12"
        ln -s "../node_modules/node-linux-$processor/bin/node" "$at/bin/node"
    fi
    PATH=$at/bin:$PATH
}

# The browsers that the tests of the node's page drive.
need_browsers() {
    need chromium=chromium firefox-esr=firefox-esr
}

# need_program PROGRAM PACKAGE FILE
# Takes one program out of a Debian package that would also start a server. FILE is its path in the package.
need_program() {
    local at=target/tools
    PATH=$PATH:$PWD/$at/${3%/*}
    if command -v "$1" >/dev/null; then return 0; fi
    if ! command -v apt-get >/dev/null; then
        fail "$1 is missing, and this system has no apt-get" "Please install what Debian calls: $2"
    fi
    need dpkg-deb=dpkg
    heading "Fetching $1 into $at"
    rm -rf "$at/download" && mkdir -p "$at/download"
    (cd "$at/download" && { apt-get download "$2" || { apt-get update && apt-get download "$2"; }; })
    dpkg-deb --fsys-tarfile "$at/download/$2"_*.deb | tar -x -C "$at" "./$3"
    rm -rf "$at/download"
}

# The compiler. It comes from rustup and not from apt, whose Rust is too old on most systems.
need_rust() {
    command -v cargo >/dev/null ||
        fail "cargo is missing" "Install Rust with rustup, see https://rustup.rs, then run this again."
    need cc=build-essential
}

# Whether anything can be mounted here at all. In containers usually not, until asked for.
need_fuse() {
    local remedy=(
        "On a machine: modprobe fuse"
        "In a container: start it with --device /dev/fuse --cap-add SYS_ADMIN"
        "  (and with --security-opt apparmor=unconfined if the host has AppArmor)"
    )
    [[ -e /dev/fuse ]] ||
        fail "/dev/fuse does not exist, and nothing can be mounted without it" "${remedy[@]}"
    # Opened in a child: a refused redirection would end this shell.
    (exec 3<>/dev/fuse) 2>/dev/null ||
        fail "/dev/fuse cannot be opened by $(id -un)" "${remedy[@]}" \
            "As a user, be sure that it is readable and writable: ls -l /dev/fuse"
    local bounds
    bounds=$(sed -n 's/^CapBnd:\s*//p' /proc/self/status)
    # Bit 21 is CAP_SYS_ADMIN, see capabilities(7).
    (((16#$bounds >> 21) & 1)) ||
        fail "nothing can be mounted: this container lacks the capability SYS_ADMIN" "${remedy[@]}"
}

# Where cargo puts what it builds in the dev profile.
binary() { printf '%s/debug/aiozfs' "${CARGO_TARGET_DIR:-target}"; }

# prefix_of [--prefix DIR]: where an installation goes.
prefix_of() {
    case ${1-} in
        "") echo /usr/local ;;
        --prefix) echo "${2:?--prefix needs a directory}" ;;
        --prefix=*) echo "${1#--prefix=}" ;;
        *) fail "$1 is not an option" "Usage: ${0##*/} [--prefix DIR]" ;;
    esac
}
