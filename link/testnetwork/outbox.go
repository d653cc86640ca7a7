package testnetwork

import (
	"context"
	"strconv"
	"time"

	"go.mau.fi/util/dbutil"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// What goes to a linked device waits in the outbox until the device confirms it: also while it is offline, and over a
// restart of this process.

func outboxKey(class, id, kind, participant string) string {
	return class + "|" + id + "|" + kind + "|" + participant
}

// post puts a stanza into the outbox of a device and sends it when the device is there.
func (n *Network) post(ctx context.Context, number string, device uint16, node waBinary.Node) error {
	body, err := waBinary.Marshal(node)
	if err != nil {
		return err
	}
	key := outboxKey(node.Tag, attr(&node, "id"), attr(&node, "type"), attr(&node, "participant"))
	if node.Tag == "message" {
		key = outboxKey(node.Tag, attr(&node, "id"), "", "")
	}
	if err = n.journal.exec(ctx, "INSERT INTO linked_outbox (number, device, key, stanza) VALUES ($1, $2, $3, $4)",
		number, device, key, body); err != nil {
		return err
	}
	n.lock.Lock()
	there := n.clients[deviceKey{number, device}]
	live := there != nil && there.active
	n.lock.Unlock()
	if live {
		_ = there.stream.WritePlain(body) // a broken connection: it comes again after the next login
	}
	return nil
}

// flush sends what a device missed, in order, and then says that this was all.
func (c *client) flush(ctx context.Context) error {
	n := c.network
	n.lock.Lock()
	c.active = true
	n.lock.Unlock()
	var bodies [][]byte
	err := n.journal.each(ctx, func(row dbutil.Scannable) error {
		var body []byte
		if err := row.Scan(&body); err != nil {
			return err
		}
		bodies = append(bodies, body)
		return nil
	}, "SELECT stanza FROM linked_outbox WHERE number = $1 AND device = $2 ORDER BY no", c.number, c.device)
	if err != nil {
		return err
	}
	if len(bodies) > 0 {
		if err = c.stream.Write(info("offline_preview", waBinary.Attrs{"count": len(bodies), "message": 0, "receipt": 0, "notification": 0, "appdata": 0})); err != nil {
			return err
		}
	}
	for _, body := range bodies {
		if err = c.stream.WritePlain(body); err != nil {
			return err
		}
	}
	return c.stream.Write(info("offline", waBinary.Attrs{"count": len(bodies)}))
}

func info(tag string, attrs waBinary.Attrs) waBinary.Node {
	return waBinary.Node{Tag: "ib", Attrs: waBinary.Attrs{}, Content: []waBinary.Node{{Tag: tag, Attrs: attrs}}}
}

// settleOutbox drops what the device confirmed.
func (n *Network) settleOutbox(ctx context.Context, c *client, key string) error {
	return n.journal.exec(ctx, "DELETE FROM linked_outbox WHERE number = $1 AND device = $2 AND key = $3", c.number, c.device, key)
}

// devicesOf are the linked devices of a number that are not gone.
func (n *Network) devicesOf(ctx context.Context, number string) ([]uint16, error) {
	var out []uint16
	err := n.journal.each(ctx, func(row dbutil.Scannable) error {
		var device uint16
		err := row.Scan(&device)
		out = append(out, device)
		return err
	}, "SELECT device FROM linked_devices WHERE number = $1 AND gone = 0 ORDER BY device", number)
	return out, err
}

// forward hands a copy to a linked device of the recipient, or to another one of the sender.
func (n *Network) forward(ctx context.Context, c *client, a *arrival, who *person, copy sealed) error {
	if who.number == c.number && copy.to.Device == c.device {
		return nil
	}
	attrs := waBinary.Attrs{"id": a.id, "type": attr(a.node, "type"), "t": time.Now().Unix(), "from": c.lidJID()}
	switch {
	case a.group:
		attrs["from"], attrs["participant"] = a.to, c.lidJID()
		attrs["participant_pn"], attrs["addressing_mode"] = types.NewJID(c.number, types.DefaultUserServer), "lid"
	case who.number == c.number:
		attrs["recipient"] = a.to
	default:
		attrs["sender_pn"] = types.NewJID(c.number, types.DefaultUserServer)
	}
	if edit := attr(a.node, "edit"); edit != "" {
		attrs["edit"] = edit
	}
	content := []waBinary.Node{copy.node}
	if a.group {
		content = append(content, a.node.GetChildrenByTag("enc")...)
	}
	if identity, ok := a.node.GetOptionalChildByTag("device-identity"); ok {
		content = append(content, identity)
	}
	return n.post(ctx, who.number, copy.to.Device, waBinary.Node{Tag: "message", Attrs: attrs, Content: content})
}

// askAgain is a person's phone that could not decrypt: it asks for the message once more, with keys of its own.
func (n *Network) askAgain(ctx context.Context, c *client, a *arrival, people []*person) error {
	for _, who := range people {
		address := c.lidJID().SignalAddress().String()
		if err := who.keys.Sessions.DeleteSession(ctx, address); err != nil {
			return err
		}
		bundle, err := who.bundle(ctx)
		if err != nil {
			return err
		}
		attrs := waBinary.Attrs{"id": a.id, "type": "retry", "from": who.lidJID(), "t": time.Now().Unix()}
		if a.group {
			attrs["from"], attrs["participant"] = a.to, who.lidJID()
		}
		keys := bundle.nodes()
		err = n.post(ctx, c.number, c.device, waBinary.Node{Tag: "receipt", Attrs: attrs, Content: []waBinary.Node{
			{Tag: "retry", Attrs: waBinary.Attrs{"count": 1, "id": a.id, "t": strconv.FormatInt(time.Now().Unix(), 10), "v": 1}},
			keys[0],
			{Tag: "keys", Content: keys[1:]},
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

// receipt is a linked device that says how far a person's message came, or asks for it again.
func (c *client) receipt(ctx context.Context, node *waBinary.Node) error {
	n := c.network
	id, kind := attr(node, "id"), attr(node, "type")
	ack := waBinary.Node{Tag: "ack", Attrs: waBinary.Attrs{"class": "receipt", "id": id, "from": node.Attrs["to"]}}
	if kind != "" {
		ack.Attrs["type"] = kind
	}
	if err := c.stream.Write(ack); err != nil {
		return err
	}
	ids := []string{id}
	list := node.GetChildByTag("list")
	for _, item := range list.GetChildrenByTag("item") {
		ids = append(ids, attr(&item, "id"))
	}
	chat, err := n.chatOf(ctx, jidAttr(node, "to"))
	if err != nil {
		return err
	}
	switch kind {
	case "", "inactive", "sender":
		return n.settleOutbox(ctx, c, outboxKey("message", id, "", ""))
	case "read", "played":
		n.note(Seen{What: kind, Number: c.number, ChatID: chat, IDs: ids})
	case "retry":
		return n.journal.transaction(ctx, func(ctx context.Context) error { return c.sayAgain(ctx, node) })
	}
	return nil
}

// sayAgain encrypts a message anew for a device that could not read it, with the keys that came with the request.
func (c *client) sayAgain(ctx context.Context, node *waBinary.Node) error {
	n := c.network
	said := Said{MessageID: attr(node, "id"), To: c.number}
	var plain []byte
	var authorNumber, kind string
	found, err := n.journal.one(ctx, []any{&said.ChatID, &authorNumber, &plain, &kind},
		"SELECT chat_id, author, body, kind FROM linked_inbound WHERE message_id = $1 AND number = $2", said.MessageID, c.number)
	if err != nil || !found {
		return err
	}
	author, err := n.people.byNumber(ctx, authorNumber)
	if err != nil {
		return err
	}
	if err = author.keys.Sessions.DeleteSession(ctx, c.lidJID().SignalAddress().String()); err != nil {
		return err
	}
	retry := node.GetChildByTag("retry")
	count := retry.AttrGetter().OptionalInt("count")
	if err = n.settleOutbox(ctx, c, outboxKey("message", said.MessageID, "", "")); err != nil {
		return err
	}
	return n.sayTo(ctx, said, author, plain, kind, c.device, max(count, 1))
}
