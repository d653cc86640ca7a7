package testnetwork

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/gcmutil"
	"go.mau.fi/whatsmeow/util/hkdfutil"
	"google.golang.org/protobuf/proto"
)

// Said is what a person writes to a phone, by POST /simulator/inbound or as an answer.
type Said struct {
	ChatID    string        `json:"chat_id"`
	To        string        `json:"to,omitempty"`
	Author    string        `json:"author,omitempty"`
	MessageID string        `json:"message_id,omitempty"`
	Type      string        `json:"type,omitempty"`
	Body      string        `json:"body,omitempty"`
	Name      string        `json:"name,omitempty"`
	Quoted    string        `json:"quoted_message_id,omitempty"`
	Media     *SaidMedia    `json:"media,omitempty"`
	Reaction  *SaidReaction `json:"reaction,omitempty"`
	Edit      *SaidEdit     `json:"edit,omitempty"`
	Revoke    *SaidTarget   `json:"revoke,omitempty"`
	Vote      *SaidVote     `json:"poll_vote,omitempty"`
	Poll      *SaidPoll     `json:"poll,omitempty"`
	Location  *SaidLocation `json:"location,omitempty"`
	Contact   *SaidContact  `json:"contact,omitempty"`
	HideLID   bool          `json:"without_number,omitempty"`
	FromMe    bool          `json:"from_me,omitempty"`
}

// SaidMedia is a file that a person sends; without data a small one is made up.
type SaidMedia struct {
	Mimetype string `json:"mimetype"`
	Filename string `json:"filename,omitempty"`
	Data     []byte `json:"data,omitempty"`
}

// SaidReaction, SaidEdit, SaidTarget and SaidVote are about an earlier message.
type (
	SaidReaction struct {
		MessageID string `json:"message_id"`
		Emoji     string `json:"emoji"`
	}
	SaidEdit struct {
		MessageID string `json:"message_id"`
		Body      string `json:"body"`
	}
	SaidTarget struct {
		MessageID string `json:"message_id"`
	}
	SaidVote struct {
		MessageID string   `json:"message_id"`
		Options   []string `json:"options"`
	}
	SaidPoll struct {
		Name    string   `json:"name"`
		Options []string `json:"options"`
	}
	SaidLocation struct {
		Latitude  float64 `json:"latitude"`
		Longitude float64 `json:"longitude"`
		Name      string  `json:"name,omitempty"`
	}
	SaidContact struct {
		Name  string `json:"name"`
		VCard string `json:"vcard"`
	}
)

func newMessageID() string {
	var random [9]byte
	_, _ = rand.Read(random[:])
	return "3A" + strings.ToUpper(hex.EncodeToString(random[:]))
}

// say encrypts what a person writes for every linked device of a number. It joins the caller's transaction.
func (n *Network) say(ctx context.Context, said Said, author *person) error {
	message, kind, err := n.compose(ctx, said, author)
	if err != nil {
		return err
	}
	if said.FromMe {
		chat, err := n.recipientJID(ctx, said.ChatID)
		if err != nil {
			return err
		}
		message = &waE2E.Message{DeviceSentMessage: &waE2E.DeviceSentMessage{DestinationJID: proto.String(chat.String()), Message: message}}
	}
	return n.deliver(ctx, said, author, message, kind)
}

// recipientJID is the address of a chat as stanzas have it.
func (n *Network) recipientJID(ctx context.Context, chatID string) (types.JID, error) {
	if group, ok := strings.CutSuffix(chatID, "@g.us"); ok {
		return types.NewJID(group, types.GroupServer), nil
	}
	people, err := n.peopleOf(ctx, chatID, "")
	if err != nil || len(people) == 0 {
		return types.EmptyJID, err
	}
	return people[0].lidJID(), nil
}

// deliver encrypts a message for every linked device of the receiver, and keeps it for retries.
func (n *Network) deliver(ctx context.Context, said Said, author *person, message *waE2E.Message, kind string) error {
	plain, err := proto.Marshal(message)
	if err != nil {
		return err
	}
	if err = n.journal.exec(ctx, `INSERT INTO linked_inbound (message_id, number, chat_id, author, body, kind) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT DO NOTHING`, said.MessageID, said.To, said.ChatID, author.number, plain, kind); err != nil {
		return err
	}
	devices, err := n.devicesOf(ctx, said.To)
	if err != nil {
		return err
	}
	for _, device := range devices {
		if err = n.sayTo(ctx, said, author, plain, kind, device, 0); err != nil {
			return err
		}
	}
	return nil
}

// sayTo encrypts for one device. `count`: how often the device has asked for it again.
func (n *Network) sayTo(ctx context.Context, said Said, author *person, plain []byte, kind string, device uint16, count int) error {
	to := types.JID{User: lidOf(said.To), Device: device, Server: types.HiddenUserServer}
	attrs := waBinary.Attrs{"id": said.MessageID, "type": kind, "t": time.Now().Unix(), "notify": said.Name,
		"from": author.lidJID(), "addressing_mode": "lid"}
	if said.Name == "" {
		attrs["notify"] = "Person " + author.number[max(0, len(author.number)-4):]
	}
	group, inGroup := strings.CutSuffix(said.ChatID, "@g.us")
	if inGroup {
		attrs["from"], attrs["participant"] = types.NewJID(group, types.GroupServer), author.lidJID()
	}
	if said.FromMe {
		chat, err := n.recipientJID(ctx, said.ChatID)
		if err != nil {
			return err
		}
		attrs["recipient"] = chat
		if number, ok := strings.CutSuffix(said.ChatID, "@c.us"); ok {
			attrs["peer_recipient_pn"] = types.NewJID(number, types.DefaultUserServer)
		}
	} else if !said.HideLID {
		name := "sender_pn"
		if inGroup {
			name = "participant_pn"
		}
		attrs[name] = author.pn()
	}
	if said.Edit != nil {
		attrs["edit"] = "1"
	} else if said.Revoke != nil {
		attrs["edit"] = "7"
	}
	var content []waBinary.Node
	direct := plain
	if inGroup && count == 0 {
		key, body, err := author.sealForGroup(ctx, types.NewJID(group, types.GroupServer), plain)
		if err != nil {
			return err
		}
		direct = key
		content = append(content, waBinary.Node{Tag: "enc", Attrs: waBinary.Attrs{"v": "2", "type": "skmsg"}, Content: body})
	}
	word, body, err := author.encrypt(ctx, to, direct, func() (*keyBundle, error) {
		bundle, err := n.deviceBundle(ctx, said.To, device)
		if err == nil && bundle == nil {
			err = fmt.Errorf("device %d of %s is gone", device, said.To)
		}
		return bundle, err
	})
	if err != nil {
		return err
	}
	enc := waBinary.Attrs{"v": "2", "type": word}
	if count > 0 {
		enc["count"] = count
	}
	content = append([]waBinary.Node{{Tag: "enc", Attrs: enc, Content: body}}, content...)
	return n.post(ctx, said.To, device, waBinary.Node{Tag: "message", Attrs: attrs, Content: content})
}

// compose makes WhatsApp's message of what a person says, and its kind on the wire.
func (n *Network) compose(ctx context.Context, said Said, author *person) (*waE2E.Message, string, error) {
	key := func(id string, mine bool) *waCommon.MessageKey {
		remote := lidOf(said.To) + "@lid"
		if strings.HasSuffix(said.ChatID, "@g.us") {
			remote = said.ChatID
		}
		out := &waCommon.MessageKey{RemoteJID: proto.String(remote), FromMe: proto.Bool(mine), ID: proto.String(id)}
		if !mine && strings.HasSuffix(said.ChatID, "@g.us") {
			out.Participant = proto.String(lidOf(said.To) + "@lid")
		}
		return out
	}
	switch {
	case said.Reaction != nil:
		return &waE2E.Message{ReactionMessage: &waE2E.ReactionMessage{Key: key(said.Reaction.MessageID, false),
			Text: proto.String(said.Reaction.Emoji), SenderTimestampMS: proto.Int64(time.Now().UnixMilli())}}, "reaction", nil
	case said.Edit != nil:
		edit := &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_MESSAGE_EDIT.Enum(),
			Key: key(said.Edit.MessageID, true), TimestampMS: proto.Int64(time.Now().UnixMilli()),
			EditedMessage: &waE2E.Message{Conversation: proto.String(said.Edit.Body)}}
		return &waE2E.Message{EditedMessage: &waE2E.FutureProofMessage{Message: &waE2E.Message{ProtocolMessage: edit}}}, "text", nil
	case said.Revoke != nil:
		return &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_REVOKE.Enum(),
			Key: key(said.Revoke.MessageID, true)}}, "text", nil
	case said.Vote != nil:
		message, err := n.vote(ctx, said, author, key(said.Vote.MessageID, false))
		return message, "poll", err
	case said.Poll != nil:
		poll := &waE2E.PollCreationMessage{Name: proto.String(said.Poll.Name), SelectableOptionsCount: proto.Uint32(1)}
		for _, option := range said.Poll.Options {
			poll.Options = append(poll.Options, &waE2E.PollCreationMessage_Option{OptionName: proto.String(option)})
		}
		secret := make([]byte, 32)
		_, _ = rand.Read(secret)
		return &waE2E.Message{PollCreationMessage: poll, MessageContextInfo: &waE2E.MessageContextInfo{MessageSecret: secret}}, "poll", nil
	case said.Location != nil:
		return &waE2E.Message{LocationMessage: &waE2E.LocationMessage{DegreesLatitude: proto.Float64(said.Location.Latitude),
			DegreesLongitude: proto.Float64(said.Location.Longitude), Name: proto.String(said.Location.Name)}}, "media", nil
	case said.Contact != nil:
		return &waE2E.Message{ContactMessage: &waE2E.ContactMessage{DisplayName: proto.String(said.Contact.Name),
			Vcard: proto.String(said.Contact.VCard)}}, "media", nil
	case said.Media != nil:
		data := said.Media.Data
		if len(data) == 0 {
			data = []byte("a file that a person of the local WhatsApp sent\n")
		}
		message, _, err := n.sealMedia(ctx, data, said.Media.Mimetype, said.Media.Filename, said.Body)
		return message, "media", err
	case said.Quoted != "":
		return &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: proto.String(said.Body),
			ContextInfo: &waE2E.ContextInfo{StanzaID: proto.String(said.Quoted), Participant: proto.String(lidOf(said.To) + "@lid"),
				QuotedMessage: &waE2E.Message{Conversation: proto.String("")}}}}, "text", nil
	default:
		return &waE2E.Message{Conversation: proto.String(said.Body)}, "text", nil
	}
}

// vote encrypts a person's choice with the secret of the poll that the person decrypted.
func (n *Network) vote(ctx context.Context, said Said, author *person, key *waCommon.MessageKey) (*waE2E.Message, error) {
	var secret []byte
	found, err := n.journal.one(ctx, []any{&secret}, "SELECT secret FROM linked_messages WHERE message_id = $1 AND number = $2",
		said.Vote.MessageID, said.To)
	if err != nil {
		return nil, err
	}
	if !found || len(secret) == 0 {
		return nil, &notFound{"message_id", "The journal holds no poll " + said.Vote.MessageID}
	}
	choice := &waE2E.PollVoteMessage{}
	for _, option := range said.Vote.Options {
		hash := sha256.Sum256([]byte(option))
		choice.SelectedOptions = append(choice.SelectedOptions, hash[:])
	}
	plain, err := proto.Marshal(choice)
	if err != nil {
		return nil, err
	}
	asker, voter := lidOf(said.To)+"@lid", author.lid+"@lid"
	info := said.Vote.MessageID + asker + voter + "Poll Vote"
	iv := make([]byte, 12)
	_, _ = rand.Read(iv)
	sealed, err := gcmutil.Encrypt(hkdfutil.SHA256(secret, nil, []byte(info), 32), iv, plain, []byte(said.Vote.MessageID+"\x00"+voter))
	if err != nil {
		return nil, err
	}
	return &waE2E.Message{PollUpdateMessage: &waE2E.PollUpdateMessage{PollCreationMessageKey: key,
		SenderTimestampMS: proto.Int64(time.Now().UnixMilli()), Vote: &waE2E.PollEncValue{EncPayload: sealed, EncIV: iv}}}, nil
}
