// heliograph-link is one linked device of WhatsApp. The gateway starts it with a socket on descriptor 3, or LINK_FD.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"

	"heliograph/link/helper"
	"heliograph/link/memory"
	"heliograph/link/protocol"
)

const (
	firstDescriptor = 3 // behind standard input, output and error
	lastDescriptor  = 1 << 20
)

// version is set by the build.
var version = "development"

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Printf("heliograph-link %s, protocol %d, build %s, whatsmeow %s\n", version, protocol.Version, helper.Build, library())
		return
	}
	os.Exit(run())
}

func run() int {
	memory.Limit()
	syscall.Umask(0o077)
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP, syscall.SIGINT) // the gateway says when to end
	level, known := helper.ParseLevel(os.Getenv("LINK_LOG"))
	if !known {
		fmt.Fprintln(os.Stderr, "heliograph-link: LINK_LOG must be off, error, warn or debug")
		return helper.ExitUsage
	}
	conn, err := protocol.FromDescriptor(descriptor())
	if err != nil || len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "heliograph-link: this program is started by the gateway, with a socket on descriptor 3.",
			"See docs/explain/link-protocol.md")
		return helper.ExitUsage
	}
	defer func() { _ = conn.Close() }()
	hello := helper.Hello{Protocol: protocol.Version, Version: version, Library: library(), Build: helper.Build, PID: os.Getpid()}
	return helper.Serve(conn, hello, level)
}

// descriptor is where the socket is: parents that cannot choose the number name it in LINK_FD.
func descriptor() uintptr {
	if number, err := strconv.Atoi(os.Getenv("LINK_FD")); err == nil && number >= firstDescriptor && number < lastDescriptor {
		return uintptr(number)
	}
	return firstDescriptor
}

func library() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, module := range info.Deps {
			if module.Path == "go.mau.fi/whatsmeow" {
				return module.Version
			}
		}
	}
	return "unknown"
}
