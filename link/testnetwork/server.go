// Package testnetwork is a local WhatsApp: a server of the multi-device protocol for tests, on loopback.
//
// A real linked device pairs with it, encrypts to it and is killed beside it. It is a model: what WhatsApp's own
// servers and phones do was read in libraries and reports, and tried on nothing.
package testnetwork

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	"go.mau.fi/whatsmeow/util/keys"

	"heliograph/link/localroot"
	"heliograph/link/testnetwork/behaviour"
	"heliograph/link/testnetwork/noise"
)

const certificateLife = 365 * 24 * time.Hour

// Network is one local WhatsApp. Use between Open and Close.
type Network struct {
	journal  *journal
	people   *people
	identity noise.Identity
	http     http.Server
	wake     chan struct{}
	ctx      context.Context
	cancel   context.CancelFunc
	tasks    sync.WaitGroup

	lock     sync.Mutex
	clients  map[deviceKey]*client
	unpaired map[string]*client // by ref
	contacts map[string]string
	faults   behaviour.Faults
	chance   *rand.Rand
	seen     []Seen
	down     map[string]time.Time // numbers whose connections are refused for a while
}

// Seen is something that a linked device told the network and that is no message.
type Seen struct {
	What   string   `json:"what"`
	Number string   `json:"number"`
	ChatID string   `json:"chat_id"`
	IDs    []string `json:"message_ids,omitempty"`
	State  string   `json:"state,omitempty"`
}

type deviceKey struct {
	number string
	device uint16
}

// Open opens the journal and takes up where the network was.
func Open(path string) (*Network, error) {
	ctx, cancel := context.WithCancel(context.Background())
	n := &Network{
		wake: make(chan struct{}, 1), ctx: ctx, cancel: cancel,
		clients: map[deviceKey]*client{}, unpaired: map[string]*client{}, contacts: map[string]string{},
		faults: behaviour.NoFaults(), down: map[string]time.Time{},
		chance: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
	}
	j, err := openJournal(ctx, path)
	if err != nil {
		cancel()
		return nil, err
	}
	n.journal, n.people = j, newPeople(j)
	if err = n.restore(ctx); err != nil {
		cancel()
		j.close()
		return nil, err
	}
	n.http.Handler = n.routes()
	n.http.ReadHeaderTimeout = 10 * time.Second
	n.tasks.Go(n.runSchedule)
	return n, nil
}

// restore reads the server's key, faults and contacts. The key lasts: clients may remember it.
func (n *Network) restore(ctx context.Context) error {
	var private []byte
	found, err := n.journal.setting(ctx, "static_key", &private)
	if err != nil {
		return err
	}
	static := keys.NewKeyPair()
	if found && len(private) == 32 {
		static = keys.NewKeyPairFromPrivateKey([32]byte(private))
	} else if err = n.journal.setSetting(ctx, "static_key", static.Priv[:]); err != nil {
		return err
	}
	n.identity.Static = static
	if err = n.Certify(time.Now().Add(-time.Hour), time.Now().Add(certificateLife)); err != nil {
		return err
	}
	if _, err = n.journal.setting(ctx, "faults", &n.faults); err != nil {
		return err
	}
	n.reseed()
	return n.restoreContacts(ctx)
}

// Certify makes the certificate anew, valid in the given time: tests of wrong clocks use it.
func (n *Network) Certify(from, until time.Time) error {
	chain, err := noise.Certify(localroot.Pair(), n.identity.Static, from, until)
	n.identity.Certificate = chain
	return err
}

// CertifyBy signs with another root than the one that helpers trust.
func (n *Network) CertifyBy(root *keys.KeyPair) error {
	chain, err := noise.Certify(root, n.identity.Static, time.Now().Add(-time.Hour), time.Now().Add(certificateLife))
	n.identity.Certificate = chain
	return err
}

// Listen takes a loopback port; 0: any.
func Listen(port int) (net.Listener, error) {
	return net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
}

// Serve answers until Close.
func (n *Network) Serve(listener net.Listener) error {
	err := n.http.Serve(listener)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close ends all connections and closes the journal.
func (n *Network) Close() {
	n.cancel()
	_ = n.http.Close()
	n.lock.Lock()
	for _, one := range n.clients {
		one.stream.Close()
	}
	for _, one := range n.unpaired {
		one.stream.Close()
	}
	n.lock.Unlock()
	n.tasks.Wait()
	n.journal.close()
}

func (n *Network) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws/chat", n.connect)
	mux.HandleFunc("POST /mms/{kind}/{token}", n.upload)
	mux.HandleFunc("DELETE /mms/{kind}/{token}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /v/{path...}", n.fetch)
	n.handRoutes(mux)
	n.linkedRoutes(mux)
	return mux
}

// connect takes a WebSocket and stays with it until it ends.
func (n *Network) connect(w http.ResponseWriter, r *http.Request) {
	if n.currentFaults().Offline {
		http.Error(w, "the local WhatsApp is offline", http.StatusServiceUnavailable)
		return
	}
	socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	n.tasks.Add(1)
	defer n.tasks.Done()
	defer func() { _ = socket.CloseNow() }()
	stream, result, err := noise.Accept(n.ctx, socket, n.identity)
	if err != nil {
		return
	}
	one := &client{network: n, stream: stream}
	if err = one.run(n.ctx, result); err != nil && n.ctx.Err() == nil && Verbose {
		log.Printf("connection of %s/%d ended: %v", one.number, one.device, err)
	}
}

// Verbose writes why connections end to the log.
var Verbose = false

func (n *Network) currentFaults() behaviour.Faults {
	n.lock.Lock()
	defer n.lock.Unlock()
	return n.faults
}

func (n *Network) reseed() {
	if n.faults.Seed != nil {
		n.chance = rand.New(rand.NewPCG(uint64(*n.faults.Seed), 0))
	}
}

// draw throws the dice of all faults at once, so that the same order of arrivals meets the same faults.
func (n *Network) draw() (faults behaviour.Faults, dice [5]float64) {
	n.lock.Lock()
	defer n.lock.Unlock()
	for i := range dice {
		dice[i] = n.chance.Float64()
	}
	return n.faults, dice
}

func (n *Network) setFaults(ctx context.Context, after behaviour.Faults) error {
	if err := n.journal.setSetting(ctx, "faults", after); err != nil {
		return err
	}
	n.lock.Lock()
	n.faults = after
	n.reseed()
	var open []*client
	if after.Offline {
		for _, one := range n.clients {
			open = append(open, one)
		}
		for _, one := range n.unpaired {
			open = append(open, one)
		}
	}
	n.lock.Unlock()
	for _, one := range open {
		one.stream.Close()
	}
	return nil
}

func (n *Network) note(one Seen) {
	n.lock.Lock()
	defer n.lock.Unlock()
	if len(n.seen) >= 1000 {
		n.seen = n.seen[1:]
	}
	n.seen = append(n.seen, one)
}

func toJSON(value any) string {
	text, _ := json.Marshal(value)
	return string(text)
}
