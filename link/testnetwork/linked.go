package testnetwork

import (
	"context"
	"net/http"
	"strings"

	"heliograph/link/testnetwork/behaviour"
)

// linkedRoutes are what a person does with the phone in hand: scan, type a code, unlink.
func (n *Network) linkedRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /linked/health", answering(func(*http.Request) (any, error) { return map[string]any{"ok": true}, nil }))
	mux.HandleFunc("POST /linked/scan", answering(func(r *http.Request) (any, error) {
		wish, err := n.wish(r)
		if err != nil {
			return nil, err
		}
		return map[string]any{"number": wish.Number}, n.Scan(r.Context(), wish.QR, wish.Number)
	}))
	mux.HandleFunc("POST /linked/code", answering(func(r *http.Request) (any, error) {
		wish, err := n.wish(r)
		if err != nil {
			return nil, err
		}
		return map[string]any{"number": wish.Number}, n.TypeCode(r.Context(), wish.Number, wish.Code)
	}))
	mux.HandleFunc("POST /linked/unlink", answering(func(r *http.Request) (any, error) {
		wish, err := n.wish(r)
		if err != nil {
			return nil, err
		}
		count, err := n.Unlink(r.Context(), wish.Number)
		return map[string]any{"number": wish.Number, "unlinked": count}, err
	}))
	mux.HandleFunc("POST /linked/passkey", answering(func(r *http.Request) (any, error) {
		wish, err := n.wish(r)
		if err != nil {
			return nil, err
		}
		if !wish.Confirm {
			return map[string]any{"number": wish.Number, "asked": true}, n.WantPasskey(r.Context(), wish.Number)
		}
		return map[string]any{"number": wish.Number, "confirmed": true}, n.forgetPasskey(r.Context(), wish.Number)
	}))
	mux.HandleFunc("POST /linked/history", answering(n.postHistory))
	mux.HandleFunc("GET /linked/devices", answering(n.getDevices))
	mux.HandleFunc("GET /linked/seen", answering(func(*http.Request) (any, error) {
		n.lock.Lock()
		defer n.lock.Unlock()
		return append([]Seen{}, n.seen...), nil
	}))
	mux.HandleFunc("POST /linked/replace", answering(func(r *http.Request) (any, error) {
		wish, err := n.wish(r)
		if err != nil {
			return nil, err
		}
		return map[string]any{"number": wish.Number, "replaced": n.each(wish.Number, (*client).replace)}, nil
	}))
	mux.HandleFunc("POST /linked/close", answering(func(r *http.Request) (any, error) {
		wish, err := n.wish(r)
		if err != nil {
			return nil, err
		}
		return map[string]any{"number": wish.Number, "closed": n.each(wish.Number, func(c *client) { c.stream.Close() })}, nil
	}))
	mux.HandleFunc("POST /linked/garbage", answering(func(r *http.Request) (any, error) {
		wish, err := n.wish(r)
		if err != nil {
			return nil, err
		}
		return map[string]any{"number": wish.Number, "told": n.each(wish.Number, func(c *client) {
			_ = c.stream.WritePlain([]byte{0, 0xf8, 0xff, 1, 2, 3}) // not a stanza
			_ = c.stream.WritePlain([]byte{2, 0, 0})                // not what it says it is: compressed
		})}, nil
	}))
	mux.HandleFunc("POST /linked/forget-sessions", answering(func(r *http.Request) (any, error) {
		wish, err := n.wish(r)
		if err != nil {
			return nil, err
		}
		return map[string]any{"number": wish.Number}, n.forgetSessions(r.Context(), wish.Number)
	}))
}

type linkedWish struct {
	Number  string `json:"number"`
	QR      string `json:"qr"`
	Code    string `json:"code"`
	Confirm bool   `json:"confirm"`
}

func (n *Network) wish(r *http.Request) (linkedWish, error) {
	var wish linkedWish
	if err := decodeBody(r, &wish); err != nil {
		return wish, err
	}
	number, err := parseNumber(wish.Number, "number")
	wish.Number = number
	return wish, err
}

// each runs work for every open connection of a number.
func (n *Network) each(number string, work func(*client)) int {
	n.lock.Lock()
	var found []*client
	for key, one := range n.clients {
		if key.number == number {
			found = append(found, one)
		}
	}
	n.lock.Unlock()
	for _, one := range found {
		work(one)
	}
	return len(found)
}

func (n *Network) forgetPasskey(ctx context.Context, number string) error {
	return n.journal.exec(ctx, "UPDATE linked_people SET passkey = 0 WHERE number = $1", number)
}

// forgetSessions is a person who installed WhatsApp anew: old messages to the phone cannot be read there.
func (n *Network) forgetSessions(ctx context.Context, number string) error {
	who, err := n.people.byNumber(ctx, number)
	if err != nil {
		return err
	}
	return n.journal.exec(ctx, "DELETE FROM whatsmeow_sessions WHERE our_jid = $1", who.pn().String())
}

func (n *Network) getDevices(r *http.Request) (any, error) {
	number, err := parseNumber(r.URL.Query().Get("number"), "number")
	if err != nil {
		return nil, err
	}
	devices, err := n.devicesOf(r.Context(), number)
	if err != nil {
		return nil, err
	}
	out := []map[string]any{}
	for _, device := range devices {
		n.lock.Lock()
		there := n.clients[deviceKey{number, device}] != nil
		n.lock.Unlock()
		out = append(out, map[string]any{"device": device, "connected": there})
	}
	return out, nil
}

// postInbound is a person who writes to a phone.
func (n *Network) postInbound(r *http.Request) (any, error) {
	var said Said
	if err := decodeBody(r, &said); err != nil {
		return nil, err
	}
	ctx := r.Context()
	chat, err := parseChat(said.ChatID, "chat_id")
	if err != nil {
		return nil, err
	}
	said.ChatID = chat
	if said.To, err = n.receiver(ctx, said); err != nil {
		return nil, err
	}
	if said.FromMe { // the person with the phone in hand writes: its linked devices get a copy
		said.Author = said.To
	}
	author, err := n.author(ctx, said)
	if err != nil {
		return nil, err
	}
	if said.Body == "" && said.Media == nil && said.Reaction == nil && said.Edit == nil && said.Revoke == nil && said.Vote == nil &&
		said.Poll == nil && said.Location == nil && said.Contact == nil {
		return nil, invalid("body", "body, media or another content is missing: what does the person write?")
	}
	if said.MessageID == "" {
		said.MessageID = newMessageID()
	}
	if strings.HasSuffix(chat, "@lid") {
		said.HideLID = true
	}
	err = n.journal.transaction(ctx, func(ctx context.Context) error { return n.say(ctx, said, author) })
	return map[string]any{"message_id": said.MessageID, "chat_id": chat, "to": said.To, "body": said.Body}, err
}

// receiver is the phone that a person writes to: the named one, the last that wrote to the chat, or the only one.
func (n *Network) receiver(ctx context.Context, said Said) (string, error) {
	if said.To != "" {
		return parseNumber(said.To, "to")
	}
	var number string
	found, err := n.journal.one(ctx, []any{&number}, "SELECT number FROM linked_messages WHERE chat_id = $1 ORDER BY no DESC LIMIT 1", said.ChatID)
	if found || err != nil {
		return number, err
	}
	var count int
	_, err = n.journal.one(ctx, []any{&count, &number},
		"SELECT COUNT(DISTINCT number), COALESCE(MAX(number), '') FROM linked_devices WHERE gone = 0")
	switch {
	case err != nil:
		return "", err
	case count == 0:
		return "", &notFound{"to", "No phone has a linked device"}
	case count > 1:
		return "", invalid("to", "There are several phones: name the number of one in to")
	}
	return number, nil
}

func (n *Network) author(ctx context.Context, said Said) (*person, error) {
	if said.Author != "" {
		number, err := parseNumber(said.Author, "author")
		if err != nil {
			return nil, err
		}
		return n.people.byNumber(ctx, number)
	}
	people, err := n.peopleOf(ctx, said.ChatID, said.To)
	if err != nil {
		return nil, err
	}
	if len(people) == 0 {
		return nil, &notFound{"chat_id", "Nobody is in this chat"}
	}
	return people[0], nil
}

// postReceipt is a receipt by hand.
func (n *Network) postReceipt(r *http.Request) (any, error) {
	var wish struct {
		MessageID string `json:"message_id"`
		Ack       int    `json:"ack"`
	}
	if err := decodeBody(r, &wish); err != nil {
		return nil, err
	}
	if wish.Ack < behaviour.AckServer || wish.Ack > behaviour.AckPlayed {
		return nil, invalid("ack", "ack must be 1, 2, 3 or 4; a linked device is never told of a failure after acceptance")
	}
	return map[string]any{"message_id": wish.MessageID, "ack": wish.Ack}, n.journal.transaction(r.Context(), func(ctx context.Context) error {
		var no int64
		found, err := n.journal.one(ctx, []any{&no}, "SELECT no FROM linked_messages WHERE message_id = $1 ORDER BY no DESC LIMIT 1", wish.MessageID)
		if err != nil {
			return err
		}
		if !found {
			return &notFound{"message_id", "The journal holds no message " + wish.MessageID}
		}
		return n.comeBack(ctx, no, wish.Ack, "")
	})
}
