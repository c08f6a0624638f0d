# What the scripts need of the system; missing packages are installed (Debian, Ubuntu). To be sourced.
#
#   need PROGRAM PACKAGE           a program, and the package that brings it
#   need_library NAME PACKAGE      a C library as pkg-config knows it
#   need_swift                     a Swift toolchain, which no package brings
#   install_missing                installs what was found missing, or says how and ends with 1

missing_packages=()

need() {
    PATH="$PATH:/usr/sbin:/sbin" command -v "$1" > /dev/null || missing_packages+=("$2")
}

need_library() {
    pkg-config --exists "$1" 2> /dev/null || missing_packages+=("$2")
}

need_swift() {
    command -v swift > /dev/null && return
    echo "A Swift toolchain (6.2 or later) is missing: swift is not in PATH." >&2
    echo "Install it as https://www.swift.org/install describes, and run this again." >&2
    exit 1
}

install_missing() {
    local packages="${missing_packages[*]}" as_root=() log
    [ -n "$packages" ] || return 0
    if ! command -v apt-get > /dev/null; then
        echo "Missing, by their names on Debian: $packages. Install them and run this again." >&2
        exit 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! sudo -n true 2> /dev/null; then
            echo "Missing: $packages. Install them and run this again:" >&2
            echo "  sudo apt-get update && sudo apt-get install --yes --no-install-recommends $packages" >&2
            exit 1
        fi
        as_root=(sudo -n)
    fi
    echo "installing $packages"
    log=$(mktemp)
    if ! { "${as_root[@]}" apt-get update && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends "${missing_packages[@]}"; } > "$log" 2>&1; then
        tail -n 15 "$log" >&2
        rm -f "$log"
        echo "Installing failed. This is what was tried:" >&2
        echo "  apt-get update && apt-get install --yes --no-install-recommends $packages" >&2
        exit 1
    fi
    rm -f "$log"
}
