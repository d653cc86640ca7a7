package testnetwork

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"strconv"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/types"

	"heliograph/link/testnetwork/behaviour"
	"heliograph/link/testnetwork/noise"
)

const (
	refCount = 6
	refsLast = 165 * time.Second // a little longer than the codes of one connection are shown
)

// client is one connection: of a linked device, or of one that wants to be linked.
type client struct {
	network *Network
	stream  *noise.Stream
	number  string
	device  uint16
	key     [32]byte // the client's Noise key
	wish    *waWa6.ClientPayload_DevicePairingRegistrationData
	refs    []string
	pairing *pairing
	active  bool
}

func (c *client) jid() types.JID {
	return types.JID{User: c.number, Device: c.device, Server: types.DefaultUserServer}
}

func (c *client) lidJID() types.JID {
	return types.JID{User: lidOf(c.number), Device: c.device, Server: types.HiddenUserServer}
}

// run serves the connection until it ends.
func (c *client) run(ctx context.Context, result *noise.Result) error {
	c.key = result.ClientKey
	if result.Payload.GetDevicePairingData() != nil {
		c.wish = result.Payload.GetDevicePairingData()
		if err := c.offerRefs(); err != nil {
			return err
		}
		defer c.forgetRefs()
		timer := time.AfterFunc(refsLast, c.stream.Close)
		defer timer.Stop()
	} else {
		admitted, err := c.login(ctx, result.Payload)
		if err != nil || !admitted {
			return err
		}
		defer c.leave()
	}
	for {
		node, err := c.stream.Read(ctx)
		if err != nil {
			return err
		}
		if err = c.hear(ctx, node); err != nil {
			return err
		}
	}
}

// offerRefs sends what the QR codes hold.
func (c *client) offerRefs() error {
	nodes := make([]waBinary.Node, refCount)
	n := c.network
	n.lock.Lock()
	for i := range nodes {
		var random [18]byte
		_, _ = rand.Read(random[:])
		ref := "2@" + base64.StdEncoding.EncodeToString(random[:])
		c.refs = append(c.refs, ref)
		n.unpaired[ref] = c
		nodes[i] = waBinary.Node{Tag: "ref", Content: []byte(ref)}
	}
	n.lock.Unlock()
	return c.stream.Write(waBinary.Node{
		Tag:     "iq",
		Attrs:   waBinary.Attrs{"from": types.ServerJID, "type": "set", "id": "pair-1", "xmlns": "md"},
		Content: []waBinary.Node{{Tag: "pair-device", Content: nodes}},
	})
}

func (c *client) forgetRefs() {
	c.network.lock.Lock()
	defer c.network.lock.Unlock()
	for _, ref := range c.refs {
		delete(c.network.unpaired, ref)
	}
}

// login admits a linked device, or says why not.
func (c *client) login(ctx context.Context, payload *waWa6.ClientPayload) (bool, error) {
	c.number = strconv.FormatUint(payload.GetUsername(), 10)
	c.device = uint16(payload.GetDevice())
	n := c.network
	n.lock.Lock()
	refused := time.Now().Before(n.down[c.number])
	n.lock.Unlock()
	if refused {
		return false, nil
	}
	var key []byte
	var gone bool
	found, err := n.journal.one(ctx, []any{&key, &gone},
		"SELECT noise, gone FROM linked_devices WHERE number = $1 AND device = $2", c.number, c.device)
	if err != nil {
		return false, err
	}
	if !found || gone || string(key) != string(c.key[:]) {
		return false, c.refuse(waBinary.Attrs{"reason": "401", "location": "lla"})
	}
	trouble, left, err := n.held(ctx, c.number)
	if err != nil {
		return false, err
	}
	switch trouble {
	case behaviour.TroubleOffline:
		return false, nil
	case behaviour.TroubleRestricted:
		return false, c.refuse(waBinary.Attrs{"reason": "402", "code": "101", "expire": strconv.Itoa(int(left.Seconds()) + 1)})
	case behaviour.TroubleReplaced: // a new connection is the restart that mends it
		if err = n.release(ctx, c.number); err != nil {
			return false, err
		}
	}
	n.join(c)
	return true, c.stream.Write(waBinary.Node{Tag: "success", Attrs: waBinary.Attrs{
		"t": time.Now().Unix(), "lid": c.lidJID(), "location": "lla", "props": "1",
	}})
}

func (c *client) refuse(attrs waBinary.Attrs) error {
	err := c.stream.Write(waBinary.Node{Tag: "failure", Attrs: attrs})
	time.Sleep(50 * time.Millisecond) // the reason must be read before the end of the connection
	return err
}

// join makes this the device's only connection.
func (n *Network) join(c *client) {
	key := deviceKey{c.number, c.device}
	n.lock.Lock()
	before := n.clients[key]
	n.clients[key] = c
	n.lock.Unlock()
	if before != nil {
		before.replace()
	}
}

func (c *client) leave() {
	key := deviceKey{c.number, c.device}
	c.network.lock.Lock()
	defer c.network.lock.Unlock()
	if c.network.clients[key] == c {
		delete(c.network.clients, key)
	}
}

// replace tells the device that another connection took its place.
func (c *client) replace() {
	_ = c.stream.Write(waBinary.Node{Tag: "stream:error", Content: []waBinary.Node{
		{Tag: "conflict", Attrs: waBinary.Attrs{"type": "replaced"}},
	}})
	c.closeSoon(50 * time.Millisecond)
}

// unlink tells the device that it was removed.
func (c *client) unlink() {
	_ = c.stream.Write(waBinary.Node{Tag: "stream:error", Attrs: waBinary.Attrs{"code": "401"}, Content: []waBinary.Node{
		{Tag: "conflict", Attrs: waBinary.Attrs{"type": "device_removed"}},
	}})
	c.closeSoon(50 * time.Millisecond)
}

func (c *client) closeSoon(after time.Duration) {
	time.AfterFunc(after, c.stream.Close)
}

// hear handles one stanza. An error ends the connection.
func (c *client) hear(ctx context.Context, node *waBinary.Node) error {
	switch node.Tag {
	case "iq":
		return c.query(ctx, node)
	case "message":
		return c.message(ctx, node)
	case "receipt":
		return c.receipt(ctx, node)
	case "ack":
		key := outboxKey(attr(node, "class"), attr(node, "id"), attr(node, "type"), attr(node, "participant"))
		if attr(node, "class") == "message" {
			key = outboxKey("message", attr(node, "id"), "", "")
		}
		return c.network.settleOutbox(ctx, c, key)
	case "chatstate":
		return c.chatState(ctx, node)
	default:
		return nil // presence and telemetry
	}
}

func (c *client) chatState(ctx context.Context, node *waBinary.Node) error {
	state := ""
	for _, child := range node.GetChildren() {
		state = child.Tag
		if attr(&child, "media") == "audio" {
			state = "recording"
		}
	}
	chat, err := c.network.chatOf(ctx, jidAttr(node, "to"))
	if err != nil {
		return err
	}
	c.network.note(Seen{What: "typing", Number: c.number, ChatID: chat, State: state})
	return nil
}

// chatOf is the chat id of an address, by number where a person is known.
func (n *Network) chatOf(ctx context.Context, jid types.JID) (string, error) {
	if jid.Server == types.GroupServer {
		return jid.User + "@g.us", nil
	}
	one, err := n.people.byJID(ctx, jid)
	if err != nil || one == nil {
		return jid.User + "@lid", err
	}
	return one.chatID(), nil
}

// attr is an attribute as text, whatever its type on the wire.
func attr(node *waBinary.Node, name string) string {
	switch value := node.Attrs[name].(type) {
	case string:
		return value
	case types.JID:
		return value.String()
	default:
		return ""
	}
}

func jidAttr(node *waBinary.Node, name string) types.JID {
	jid, _ := node.Attrs[name].(types.JID)
	return jid
}
