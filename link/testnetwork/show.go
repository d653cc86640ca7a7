package testnetwork

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/util/cbcutil"
	"go.mau.fi/whatsmeow/util/hkdfutil"
)

// shown is a message as the recipient sees it.
type shown struct {
	kind   string
	body   string
	media  map[string]any
	poll   map[string]any
	extra  map[string]any
	quoted string
	target string
	edit   bool
	revoke bool
}

// show writes a new message into the journal, with what comes back for it. Edits and revocations change their target.
func (n *Network) show(ctx context.Context, c *client, a *arrival, message *waE2E.Message) error {
	s, err := n.read(ctx, message)
	if err != nil || s == nil {
		return err
	}
	if s.edit || s.revoke {
		return n.change(ctx, c, a, s)
	}
	var secret []byte
	if given := message.GetMessageContextInfo().GetMessageSecret(); len(given) > 0 {
		secret = given
	}
	ack := 1
	if a.who.NoAck || a.who.Late {
		ack = 0
	}
	no, err := n.insert(ctx, c, a, s, secret, ack)
	if err != nil {
		return err
	}
	return n.owe(ctx, no, a)
}

func (n *Network) insert(ctx context.Context, c *client, a *arrival, s *shown, secret []byte, ack int) (int64, error) {
	var no int64
	_, err := n.journal.one(ctx, []any{&no}, `
		INSERT INTO linked_messages (number, chat_id, message_id, type, body, media, poll, extra, quoted_id, target_id, secret, received_at_us, ack, device)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING no`,
		c.number, a.chatID, a.id, s.kind, s.body, jsonOrNil(s.media), jsonOrNil(s.poll), jsonOrNil(s.extra),
		textOrNil(s.quoted), textOrNil(s.target), secret, nowMicros(), ack, c.device)
	return no, err
}

// change shows an edit or a revocation at the message that it is about. It is a row of its own that lists leave out.
func (n *Network) change(ctx context.Context, c *client, a *arrival, s *shown) error {
	if _, err := n.insert(ctx, c, a, s, nil, 1); err != nil {
		return err
	}
	if s.revoke {
		return n.journal.exec(ctx, "UPDATE linked_messages SET revoked = 1 WHERE message_id = $1 AND number = $2 AND chat_id = $3",
			s.target, c.number, a.chatID)
	}
	return n.journal.exec(ctx, `UPDATE linked_messages SET body = $1, edited = edited + 1
		WHERE message_id = $2 AND number = $3 AND chat_id = $4 AND revoked = 0`, s.body, s.target, c.number, a.chatID)
}

func jsonOrNil(value map[string]any) any {
	if value == nil {
		return nil
	}
	return toJSON(value)
}

func textOrNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// read puts a decrypted message into the journal's words; nil: nothing that a person sees.
func (n *Network) read(ctx context.Context, m *waE2E.Message) (*shown, error) {
	if m.GetEditedMessage() != nil {
		m = m.GetEditedMessage().GetMessage()
	}
	switch {
	case m.GetProtocolMessage() != nil:
		p := m.GetProtocolMessage()
		s := &shown{target: p.GetKey().GetID()}
		switch p.GetType() {
		case waE2E.ProtocolMessage_REVOKE:
			s.kind, s.revoke = "revoke", true
		case waE2E.ProtocolMessage_MESSAGE_EDIT:
			s.kind, s.edit, s.body = "edit", true, p.GetEditedMessage().GetConversation()
		default:
			return nil, nil
		}
		return s, nil
	case m.Conversation != nil:
		return &shown{kind: "chat", body: m.GetConversation()}, nil
	case m.GetExtendedTextMessage() != nil:
		return quoting(&shown{kind: "chat", body: m.GetExtendedTextMessage().GetText()}, m.GetExtendedTextMessage()), nil
	case m.GetReactionMessage() != nil:
		r := m.GetReactionMessage()
		return &shown{kind: "reaction", body: r.GetText(), quoted: r.GetKey().GetID(), target: r.GetKey().GetID(),
			extra: map[string]any{"reaction": map[string]any{"emoji": r.GetText()}}}, nil
	case m.GetPollCreationMessage() != nil:
		p := m.GetPollCreationMessage()
		options := []string{}
		for _, option := range p.GetOptions() {
			options = append(options, option.GetOptionName())
		}
		return quoting(&shown{kind: "poll_creation", body: p.GetName(), poll: map[string]any{
			"name": p.GetName(), "options": options, "allow_multiple_answers": p.GetSelectableOptionsCount() != 1, "poll_id": nil,
		}}, p), nil
	case m.GetLocationMessage() != nil:
		l := m.GetLocationMessage()
		return quoting(&shown{kind: "location", extra: map[string]any{"location": map[string]any{
			"latitude": l.GetDegreesLatitude(), "longitude": l.GetDegreesLongitude(), "name": l.GetName(), "address": l.GetAddress(),
		}}}, l), nil
	case m.GetContactMessage() != nil:
		card := m.GetContactMessage()
		return quoting(&shown{kind: "vcard", extra: cards(card)}, card), nil
	case m.GetContactsArrayMessage() != nil:
		return quoting(&shown{kind: "vcard", extra: cards(m.GetContactsArrayMessage().GetContacts()...)}, m.GetContactsArrayMessage()), nil
	case m.GetPollUpdateMessage() != nil:
		return &shown{kind: "poll_vote", target: m.GetPollUpdateMessage().GetPollCreationMessageKey().GetID()}, nil
	default:
		return n.readMedia(ctx, m)
	}
}

func cards(given ...*waE2E.ContactMessage) map[string]any {
	out := []map[string]any{}
	for _, card := range given {
		out = append(out, map[string]any{"name": card.GetDisplayName(), "vcard": card.GetVcard()})
	}
	return map[string]any{"contacts": out}
}

// quoting adds what stands beside the content.
func quoting(s *shown, m interface{ GetContextInfo() *waE2E.ContextInfo }) *shown {
	info := m.GetContextInfo()
	s.quoted = info.GetStanzaID()
	extra := map[string]any{}
	if info.GetIsForwarded() {
		extra["forwarded"] = true
	}
	if len(info.GetMentionedJID()) > 0 {
		extra["mentions"] = info.GetMentionedJID()
	}
	for name, value := range extra {
		if s.extra == nil {
			s.extra = map[string]any{}
		}
		s.extra[name] = value
	}
	return s
}

// attached is what all messages with a file have in common.
type attached interface {
	GetMimetype() string
	GetDirectPath() string
	GetMediaKey() []byte
	GetFileSHA256() []byte
	GetFileEncSHA256() []byte
	GetFileLength() uint64
	GetContextInfo() *waE2E.ContextInfo
}

// readMedia opens the file as the recipient's phone would, so that a wrong key or hash is found.
func (n *Network) readMedia(ctx context.Context, m *waE2E.Message) (*shown, error) {
	var file attached
	s := &shown{}
	name := ""
	secret := whatsmeow.MediaImage
	switch {
	case m.GetImageMessage() != nil:
		file, s.kind, s.body = m.GetImageMessage(), "image", m.GetImageMessage().GetCaption()
	case m.GetVideoMessage() != nil:
		file, s.kind, s.body, secret = m.GetVideoMessage(), "video", m.GetVideoMessage().GetCaption(), whatsmeow.MediaVideo
	case m.GetAudioMessage() != nil:
		file, s.kind, secret = m.GetAudioMessage(), "audio", whatsmeow.MediaAudio
		if m.GetAudioMessage().GetPTT() {
			s.kind = "ptt"
		}
	case m.GetDocumentMessage() != nil:
		file, s.kind, s.body, secret = m.GetDocumentMessage(), "document", m.GetDocumentMessage().GetCaption(), whatsmeow.MediaDocument
		name = m.GetDocumentMessage().GetFileName()
	case m.GetStickerMessage() != nil:
		file, s.kind = m.GetStickerMessage(), "sticker"
	default:
		return nil, nil
	}
	plain, err := n.openMedia(ctx, file, secret)
	s.media = map[string]any{"mimetype": file.GetMimetype(), "filename": name, "size": file.GetFileLength(),
		"sha256": hex.EncodeToString(file.GetFileSHA256()), "url": nil}
	if err != nil {
		s.media["error"] = err.Error()
	} else {
		sum := sha256.Sum256(plain)
		s.media["sha256"], s.media["size"] = hex.EncodeToString(sum[:]), len(plain)
	}
	return quoting(s, file), nil
}

const macLength = 10

func (n *Network) openMedia(ctx context.Context, file attached, kind whatsmeow.MediaType) ([]byte, error) {
	body, err := n.mediaBody(ctx, file.GetDirectPath())
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(body); !hmac.Equal(sum[:], file.GetFileEncSHA256()) || len(body) <= macLength {
		return nil, fmt.Errorf("the encrypted file is another one")
	}
	keys := hkdfutil.SHA256(file.GetMediaKey(), nil, []byte(kind), 112)
	iv, key, macKey := keys[:16], keys[16:48], keys[48:80]
	sealed, mac := body[:len(body)-macLength], body[len(body)-macLength:]
	check := hmac.New(sha256.New, macKey)
	check.Write(iv)
	check.Write(sealed)
	if !hmac.Equal(check.Sum(nil)[:macLength], mac) {
		return nil, fmt.Errorf("the file's signature is wrong")
	}
	plain, err := cbcutil.Decrypt(key, iv, sealed)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(plain); !hmac.Equal(sum[:], file.GetFileSHA256()) {
		return nil, fmt.Errorf("the decrypted file is another one")
	}
	return plain, nil
}
