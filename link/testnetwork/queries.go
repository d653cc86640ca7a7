package testnetwork

import (
	"context"
	"encoding/binary"
	"strings"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"

	"heliograph/link/testnetwork/behaviour"
)

// query answers an iq stanza.
func (c *client) query(ctx context.Context, node *waBinary.Node) error {
	kind := attr(node, "type")
	if kind == "result" || kind == "error" {
		return c.answered(ctx, node, kind)
	}
	content, code, err := c.answer(ctx, node)
	if err != nil {
		return err
	}
	if code != 0 {
		return c.reply(node, "error", []waBinary.Node{{Tag: "error", Attrs: waBinary.Attrs{"code": code, "text": errorTexts[code]}}})
	}
	if err = c.reply(node, "result", content); err != nil {
		return err
	}
	return c.after(ctx, node)
}

var errorTexts = map[int]string{
	400: "bad-request", 401: "not-authorized", 403: "forbidden", 404: "item-not-found", 406: "not-acceptable",
	501: "feature-not-implemented",
}

func (c *client) reply(node *waBinary.Node, kind string, content []waBinary.Node) error {
	from := jidAttr(node, "to")
	if from.IsEmpty() {
		from = types.ServerJID
	}
	out := waBinary.Node{Tag: "iq", Attrs: waBinary.Attrs{"from": from, "id": attr(node, "id"), "type": kind}}
	if len(content) > 0 {
		out.Content = content
	}
	return c.stream.Write(out)
}

// answered is the device's answer to a question of ours.
func (c *client) answered(ctx context.Context, node *waBinary.Node, kind string) error {
	if kind == "result" && attr(node, "id") == "pair-2" {
		return c.paired(ctx, node)
	}
	return nil
}

// answer gives the content of the answer, or the code of an error.
func (c *client) answer(ctx context.Context, node *waBinary.Node) ([]waBinary.Node, int, error) {
	space := attr(node, "xmlns")
	if c.number == "" && space != "md" && space != "w:p" {
		return nil, 401, nil
	}
	switch space {
	case "w:p", "passive", "w:stats", "urn:xmpp:whatsapp:dirty":
		return nil, 0, nil
	case "encrypt":
		var content []waBinary.Node
		var code int
		err := c.network.journal.transaction(ctx, func(ctx context.Context) (err error) {
			content, code, err = c.keysQuery(ctx, node)
			return err
		})
		return content, code, err
	case "usync":
		content, err := c.network.usync(ctx, node)
		return content, 0, err
	case "md":
		return c.deviceQuery(ctx, node)
	case "w:m":
		return c.network.mediaHosts(), 0, nil
	case "w:g2":
		return c.groupQuery(ctx, node)
	case "privacy":
		return privacyAnswer(node), 0, nil
	default:
		return nil, 501, nil
	}
}

// after does what must come behind the answer.
func (c *client) after(ctx context.Context, node *waBinary.Node) error {
	if attr(node, "xmlns") == "passive" {
		if _, active := node.GetOptionalChildByTag("active"); active {
			return c.flush(ctx)
		}
	}
	if _, gone := node.GetOptionalChildByTag("remove-companion-device"); gone && c.number != "" {
		c.unlink()
	}
	return nil
}

func privacyAnswer(node *waBinary.Node) []waBinary.Node {
	if attr(node, "type") != "get" {
		return nil
	}
	return []waBinary.Node{{Tag: "privacy", Content: []waBinary.Node{
		{Tag: "category", Attrs: waBinary.Attrs{"name": "readreceipts", "value": "all"}},
		{Tag: "category", Attrs: waBinary.Attrs{"name": "last", "value": "all"}},
	}}}
}

// deviceQuery is about linking itself.
func (c *client) deviceQuery(ctx context.Context, node *waBinary.Node) ([]waBinary.Node, int, error) {
	if _, remove := node.GetOptionalChildByTag("remove-companion-device"); remove {
		if c.number == "" {
			return nil, 401, nil
		}
		return nil, 0, c.network.remove(ctx, c.number, c.device)
	}
	if c.wish == nil {
		return nil, 400, nil
	}
	if stage, ok := node.GetOptionalChildByTag("link_code_companion_reg"); ok {
		return c.codeQuery(ctx, &stage)
	}
	return c.passkeyQuery(ctx, node)
}

// keysQuery counts, takes and gives keys.
func (c *client) keysQuery(ctx context.Context, node *waBinary.Node) ([]waBinary.Node, int, error) {
	n := c.network
	if _, count := node.GetOptionalChildByTag("count"); count {
		var value int
		_, err := n.journal.one(ctx, []any{&value},
			"SELECT COUNT(*) FROM linked_prekeys WHERE number = $1 AND device = $2", c.number, c.device)
		return []waBinary.Node{{Tag: "count", Attrs: waBinary.Attrs{"value": value}}}, 0, err
	}
	if wanted, ok := node.GetOptionalChildByTag("key"); ok {
		list := []waBinary.Node{}
		for _, user := range wanted.GetChildrenByTag("user") {
			one, err := n.keysOf(ctx, jidAttr(&user, "jid"))
			if err != nil {
				return nil, 0, err
			}
			list = append(list, one)
		}
		return []waBinary.Node{{Tag: "list", Content: list}}, 0, nil
	}
	if list, ok := node.GetOptionalChildByTag("list"); ok {
		return nil, 0, c.takePreKeys(ctx, node, &list)
	}
	return nil, 501, nil
}

func (c *client) takePreKeys(ctx context.Context, node, list *waBinary.Node) error {
	return c.network.journal.transaction(ctx, func(ctx context.Context) error {
		for _, key := range list.GetChildren() {
			id, _ := key.GetChildByTag("id").Content.([]byte)
			value, _ := key.GetChildByTag("value").Content.([]byte)
			err := c.network.journal.exec(ctx, `INSERT INTO linked_prekeys (number, device, id, key) VALUES ($1, $2, $3, $4)
				ON CONFLICT DO UPDATE SET key = excluded.key`, c.number, c.device, bigEndian(id), value)
			if err != nil {
				return err
			}
		}
		signed := node.GetChildByTag("skey")
		id, _ := signed.GetChildByTag("id").Content.([]byte)
		value, _ := signed.GetChildByTag("value").Content.([]byte)
		signature, _ := signed.GetChildByTag("signature").Content.([]byte)
		return c.network.journal.exec(ctx, `UPDATE linked_devices SET signed_id = $1, signed_key = $2, signature = $3
			WHERE number = $4 AND device = $5`, bigEndian(id), value, signature, c.number, c.device)
	})
}

// keysOf answers for one device: a person's phone, or a linked device.
func (n *Network) keysOf(ctx context.Context, jid types.JID) (waBinary.Node, error) {
	out := waBinary.Node{Tag: "user", Attrs: waBinary.Attrs{"jid": jid}}
	owner, err := n.people.byJID(ctx, jid)
	if err != nil {
		return out, err
	}
	var bundle *keyBundle
	if owner != nil && jid.Device == 0 {
		bundle, err = owner.bundle(ctx)
	} else if owner != nil {
		bundle, err = n.deviceBundle(ctx, owner.number, jid.Device)
	}
	if err != nil {
		return out, err
	}
	if bundle == nil {
		out.Content = []waBinary.Node{{Tag: "error", Attrs: waBinary.Attrs{"code": 404, "text": "item-not-found"}}}
		return out, nil
	}
	out.Content = bundle.nodes()
	return out, nil
}

func (b *keyBundle) nodes() []waBinary.Node {
	out := []waBinary.Node{
		{Tag: "registration", Content: binary.BigEndian.AppendUint32(nil, b.registration)},
		{Tag: "type", Content: []byte{5}},
		{Tag: "identity", Content: b.identity[:]},
	}
	if b.preKey != nil {
		out = append(out, waBinary.Node{Tag: "key", Content: []waBinary.Node{
			{Tag: "id", Content: threeBytes(b.preKeyID)}, {Tag: "value", Content: b.preKey[:]},
		}})
	}
	return append(out, waBinary.Node{Tag: "skey", Content: []waBinary.Node{
		{Tag: "id", Content: threeBytes(b.signedID)}, {Tag: "value", Content: b.signedKey[:]},
		{Tag: "signature", Content: b.signature[:]},
	}})
}

func threeBytes(id uint32) []byte { return binary.BigEndian.AppendUint32(nil, id)[1:] }

// deviceBundle takes one of a linked device's keys; nil: there is no such device.
func (n *Network) deviceBundle(ctx context.Context, number string, device uint16) (*keyBundle, error) {
	var b keyBundle
	var identity, signedKey, signature []byte
	found, err := n.journal.one(ctx, []any{&identity, &b.registration, &b.signedID, &signedKey, &signature},
		"SELECT identity, registration, signed_id, signed_key, signature FROM linked_devices WHERE number = $1 AND device = $2 AND gone = 0",
		number, device)
	if err != nil || !found || len(identity) != 32 || len(signedKey) != 32 || len(signature) != 64 {
		return nil, err
	}
	b.identity, b.signedKey, b.signature = [32]byte(identity), [32]byte(signedKey), [64]byte(signature)
	var key []byte
	found, err = n.journal.one(ctx, []any{&b.preKeyID, &key},
		`DELETE FROM linked_prekeys WHERE (number, device, id) =
			(SELECT number, device, id FROM linked_prekeys WHERE number = $1 AND device = $2 ORDER BY id LIMIT 1)
		RETURNING id, key`, number, device)
	if found && len(key) == 32 {
		b.preKey = (*[32]byte)(key)
	}
	return &b, err
}

// usync answers questions about people: their devices, their hidden ids, whether they are on WhatsApp.
func (n *Network) usync(ctx context.Context, node *waBinary.Node) ([]waBinary.Node, error) {
	asked := node.GetChildByTag("usync")
	query := asked.GetChildByTag("query")
	_, wantsContact := query.GetOptionalChildByTag("contact")
	list := asked.GetChildByTag("list")
	out := []waBinary.Node{}
	for _, user := range list.GetChildrenByTag("user") {
		var one waBinary.Node
		var err error
		if wantsContact {
			one, err = n.contactAnswer(ctx, &user)
		} else {
			one, err = n.userAnswer(ctx, &user)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return []waBinary.Node{{Tag: "usync", Attrs: waBinary.Attrs{"sid": attr(&asked, "sid"), "index": 0, "last": true},
		Content: []waBinary.Node{{Tag: "list", Content: out}}}}, nil
}

func (n *Network) contactAnswer(ctx context.Context, user *waBinary.Node) (waBinary.Node, error) {
	contact := user.GetChildByTag("contact")
	text := textOf(&contact)
	number := strings.TrimPrefix(strings.TrimSuffix(text, "@c.us"), "+")
	owner, err := n.people.byNumber(ctx, number)
	if err != nil {
		return waBinary.Node{}, err
	}
	word, attrs := "in", waBinary.Attrs{"jid": owner.lidJID(), "pn_jid": owner.pn()}
	if n.recipient(owner.chatID()).Absent {
		word, attrs = "out", waBinary.Attrs{"jid": owner.pn()}
	}
	return waBinary.Node{Tag: "user", Attrs: attrs, Content: []waBinary.Node{
		{Tag: "contact", Attrs: waBinary.Attrs{"type": word}, Content: []byte(text)},
	}}, nil
}

// userAnswer gives devices and hidden id; nothing of a number that is not on WhatsApp.
func (n *Network) userAnswer(ctx context.Context, user *waBinary.Node) (waBinary.Node, error) {
	jid := jidAttr(user, "jid")
	out := waBinary.Node{Tag: "user", Attrs: waBinary.Attrs{"jid": jid}}
	owner, err := n.people.byJID(ctx, jid)
	if err != nil || owner == nil || n.recipient(owner.chatID()).Absent {
		return out, err
	}
	devices, err := n.devicesOf(ctx, owner.number)
	if err != nil {
		return out, err
	}
	list := []waBinary.Node{{Tag: "device", Attrs: waBinary.Attrs{"id": 0}}}
	for _, device := range devices {
		list = append(list, waBinary.Node{Tag: "device", Attrs: waBinary.Attrs{"id": int(device), "key-index": int(device)}})
	}
	out.Content = []waBinary.Node{
		{Tag: "devices", Content: []waBinary.Node{{Tag: "device-list", Content: list}}},
		{Tag: "lid", Attrs: waBinary.Attrs{"val": owner.lidJID()}},
	}
	return out, nil
}

func (n *Network) recipient(chatID string) behaviour.Recipient {
	n.lock.Lock()
	defer n.lock.Unlock()
	return behaviour.Of(chatID, n.contacts)
}

func textOf(node *waBinary.Node) string {
	switch content := node.Content.(type) {
	case []byte:
		return string(content)
	case string:
		return content
	default:
		return ""
	}
}
