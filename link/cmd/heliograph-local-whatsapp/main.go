// heliograph-local-whatsapp is a WhatsApp for tests on this machine. `heliograph simulator --linked` starts it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"heliograph/link/testnetwork"
)

func main() {
	port := flag.Int("port", 9090, "loopback port; 0 takes any and prints it")
	journal := flag.String("journal", "linked-journal.db", "the network's own file")
	flag.BoolVar(&testnetwork.Verbose, "verbose", false, "say why connections end")
	flag.Parse()
	if err := run(*port, *journal); err != nil {
		fmt.Fprintln(os.Stderr, "heliograph-local-whatsapp:", err)
		os.Exit(1)
	}
}

func run(port int, journal string) error {
	network, err := testnetwork.Open(journal)
	if errors.Is(err, testnetwork.ErrJournalInUse) {
		return fmt.Errorf("%w. Give --journal a file of its own", err)
	}
	if err != nil {
		return err
	}
	defer network.Close()
	listener, err := testnetwork.Listen(port)
	if err != nil {
		return fmt.Errorf("port %d cannot be used: %w", port, err)
	}
	fmt.Printf("http://127.0.0.1:%d\n", listener.Addr().(*net.TCPAddr).Port)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	failed := make(chan error, 1)
	go func() { failed <- network.Serve(listener) }()
	select {
	case <-stop:
		return nil
	case err = <-failed:
		return err
	}
}
