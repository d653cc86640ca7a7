package helper

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"heliograph/link/protocol"
)

// message reports what a person wrote, or what another device of this account sent.
func (p *phone) message(ctx context.Context, e *events.Message) bool {
	data := p.describe(ctx, e)
	if data == nil {
		return true // keys and other messages between devices
	}
	return p.say.deliver("message", data, p.args.ConfirmEvents)
}

// describe puts a message into the protocol's words; nil: nothing that a person wrote.
func (p *phone) describe(ctx context.Context, e *events.Message) map[string]any {
	if decrypted, err := p.client.DecryptSecretEncryptedMessage(ctx, e); err == nil && decrypted != nil {
		e.Message = decrypted
	}
	content := p.contentOf(ctx, e)
	if content == nil {
		return nil
	}
	info := &e.Info
	chat := p.address(ctx, info.Chat, chatOther(info))
	sender := p.address(ctx, info.Sender, info.SenderAlt)
	content["message_id"] = info.ID
	content["chat"] = chat.text
	chat.addLID(content, "chat_lid")
	content["sender"] = sender.text
	sender.addLID(content, "sender_lid")
	content["from_me"] = info.IsFromMe
	content["timestamp_s"] = unix(info.Timestamp)
	if info.PushName != "" {
		content["push_name"] = info.PushName
	}
	return content
}

func chatOther(info *types.MessageInfo) types.JID {
	switch {
	case info.IsGroup:
		return types.EmptyJID
	case info.IsFromMe:
		return info.RecipientAlt
	default:
		return info.SenderAlt
	}
}

// contentOf is the kind and what belongs to it.
func (p *phone) contentOf(ctx context.Context, e *events.Message) map[string]any {
	m := e.Message
	switch {
	case m.GetProtocolMessage() != nil:
		return protocolContent(m.GetProtocolMessage())
	case m.GetReactionMessage() != nil:
		reaction := m.GetReactionMessage()
		return map[string]any{"type": protocol.KindReaction, "emoji": reaction.GetText(), "target_id": reaction.GetKey().GetID()}
	case m.GetEncReactionMessage() != nil:
		reaction, err := p.client.DecryptReaction(ctx, e)
		if err != nil {
			return map[string]any{"type": protocol.KindUnknown}
		}
		return map[string]any{"type": protocol.KindReaction, "emoji": reaction.GetText(),
			"target_id": m.GetEncReactionMessage().GetTargetMessageKey().GetID()}
	case m.GetPollUpdateMessage() != nil:
		return p.voteContent(ctx, e)
	case m.GetConversation() != "":
		return map[string]any{"type": protocol.KindText, "text": m.GetConversation()}
	case m.GetExtendedTextMessage() != nil:
		text := m.GetExtendedTextMessage()
		return withContext(map[string]any{"type": protocol.KindText, "text": text.GetText()}, text.GetContextInfo())
	case m.GetPollCreationMessage() != nil:
		return pollContent(m.GetPollCreationMessage())
	case m.GetPollCreationMessageV3() != nil:
		return pollContent(m.GetPollCreationMessageV3())
	case m.GetLocationMessage() != nil:
		place := m.GetLocationMessage()
		return withContext(map[string]any{"type": protocol.KindLocation, "location": protocol.Location{
			Latitude: place.GetDegreesLatitude(), Longitude: place.GetDegreesLongitude(),
			Name: place.GetName(), Address: place.GetAddress(),
		}}, place.GetContextInfo())
	case m.GetContactMessage() != nil:
		card := m.GetContactMessage()
		return withContext(map[string]any{"type": protocol.KindContact,
			"contacts": []protocol.Contact{{Name: card.GetDisplayName(), VCard: card.GetVcard()}}}, card.GetContextInfo())
	case m.GetContactsArrayMessage() != nil:
		cards := []protocol.Contact{}
		for _, card := range m.GetContactsArrayMessage().GetContacts() {
			cards = append(cards, protocol.Contact{Name: card.GetDisplayName(), VCard: card.GetVcard()})
		}
		return map[string]any{"type": protocol.KindContact, "contacts": cards}
	case m.GetSenderKeyDistributionMessage() != nil && isOnlyKeys(m):
		return nil
	default:
		if content := mediaContent(m); content != nil {
			return content
		}
		if isOnlyKeys(m) {
			return nil
		}
		return map[string]any{"type": protocol.KindUnknown}
	}
}

// isOnlyKeys: the message carries a group's key or a secret, and nothing for a person.
func isOnlyKeys(m *waE2E.Message) bool {
	rest := proto.Clone(m).(*waE2E.Message)
	rest.SenderKeyDistributionMessage = nil
	rest.FastRatchetKeySenderKeyDistributionMessage = nil
	rest.MessageContextInfo = nil
	return proto.Size(rest) == 0
}

func protocolContent(m *waE2E.ProtocolMessage) map[string]any {
	switch m.GetType() {
	case waE2E.ProtocolMessage_REVOKE:
		return map[string]any{"type": protocol.KindRevoke, "target_id": m.GetKey().GetID()}
	case waE2E.ProtocolMessage_MESSAGE_EDIT:
		edited := m.GetEditedMessage()
		text := edited.GetConversation()
		if text == "" {
			text = edited.GetExtendedTextMessage().GetText()
		}
		for _, caption := range []string{edited.GetImageMessage().GetCaption(), edited.GetVideoMessage().GetCaption(), edited.GetDocumentMessage().GetCaption()} {
			if text == "" {
				text = caption
			}
		}
		return map[string]any{"type": protocol.KindEdit, "target_id": m.GetKey().GetID(), "text": text}
	default:
		return nil
	}
}

func pollContent(m *waE2E.PollCreationMessage) map[string]any {
	poll := protocol.Poll{Name: m.GetName(), Selectable: int(m.GetSelectableOptionsCount()), Options: []string{}}
	for _, option := range m.GetOptions() {
		poll.Options = append(poll.Options, option.GetOptionName())
	}
	return withContext(map[string]any{"type": protocol.KindPoll, "poll": poll}, m.GetContextInfo())
}

// voteContent gives the hashes of the chosen options, and their words when the poll was sent by this device.
func (p *phone) voteContent(ctx context.Context, e *events.Message) map[string]any {
	target := e.Message.GetPollUpdateMessage().GetPollCreationMessageKey().GetID()
	data := map[string]any{"type": protocol.KindPollVote, "target_id": target}
	vote, err := p.client.DecryptPollVote(ctx, e)
	if err != nil {
		data["unreadable"] = true
		return data
	}
	words := p.optionWords(ctx, e.Info.Chat, target)
	hashes, options := []string{}, []string{}
	for _, hash := range vote.GetSelectedOptions() {
		text := hex.EncodeToString(hash)
		hashes = append(hashes, text)
		if word, known := words[text]; known {
			options = append(options, word)
		}
	}
	data["option_hashes"] = hashes
	if len(options) == len(hashes) {
		data["options"] = options
	}
	return data
}

// optionWords finds the options of a poll among the messages that are kept for retries.
func (p *phone) optionWords(ctx context.Context, chat types.JID, id string) map[string]string {
	other, _ := p.session.Device.GetAltJID(ctx, chat)
	_, body, err := p.session.Device.EventBuffer.GetOutgoingEvent(ctx, chat, other, id)
	if err != nil {
		return nil
	}
	var message waE2E.Message
	if err = proto.Unmarshal(body, &message); err != nil {
		return nil
	}
	words := map[string]string{}
	for _, option := range message.GetPollCreationMessage().GetOptions() {
		hash := sha256.Sum256([]byte(option.GetOptionName()))
		words[hex.EncodeToString(hash[:])] = option.GetOptionName()
	}
	return words
}

func withContext(data map[string]any, info *waE2E.ContextInfo) map[string]any {
	if info == nil {
		return data
	}
	if id := info.GetStanzaID(); id != "" {
		data["quoted_message_id"] = id
	}
	if len(info.GetMentionedJID()) > 0 {
		data["mentions"] = info.GetMentionedJID()
	}
	if info.GetIsForwarded() {
		data["forwarded"] = true
	}
	return data
}

// file is what all media messages have in common.
type file interface {
	GetMimetype() string
	GetDirectPath() string
	GetMediaKey() []byte
	GetFileSHA256() []byte
	GetFileEncSHA256() []byte
	GetFileLength() uint64
}

func mediaContent(m *waE2E.Message) map[string]any {
	switch {
	case m.GetImageMessage() != nil:
		image := m.GetImageMessage()
		media := mediaOf(image, protocol.KindImage)
		media.Width, media.Height = image.GetWidth(), image.GetHeight()
		return mediaData(protocol.KindImage, image.GetCaption(), media, image.GetContextInfo())
	case m.GetVideoMessage() != nil:
		video := m.GetVideoMessage()
		media := mediaOf(video, protocol.KindVideo)
		media.Width, media.Height, media.Seconds = video.GetWidth(), video.GetHeight(), video.GetSeconds()
		media.GIF = video.GetGifPlayback()
		return mediaData(protocol.KindVideo, video.GetCaption(), media, video.GetContextInfo())
	case m.GetAudioMessage() != nil:
		audio := m.GetAudioMessage()
		kind := protocol.KindAudio
		if audio.GetPTT() {
			kind = protocol.KindVoice
		}
		media := mediaOf(audio, kind)
		media.Seconds, media.Waveform = audio.GetSeconds(), audio.GetWaveform()
		return mediaData(kind, "", media, audio.GetContextInfo())
	case m.GetDocumentMessage() != nil:
		document := m.GetDocumentMessage()
		media := mediaOf(document, protocol.KindDocument)
		media.Filename = document.GetFileName()
		return mediaData(protocol.KindDocument, document.GetCaption(), media, document.GetContextInfo())
	case m.GetStickerMessage() != nil:
		sticker := m.GetStickerMessage()
		return mediaData(protocol.KindSticker, "", mediaOf(sticker, protocol.KindSticker), sticker.GetContextInfo())
	default:
		return nil
	}
}

func mediaOf(f file, kind string) *protocol.Media {
	return &protocol.Media{
		Mimetype: f.GetMimetype(), Size: int64(f.GetFileLength()), SHA256: hex.EncodeToString(f.GetFileSHA256()),
		Ref: &protocol.MediaRef{
			Kind: kind, DirectPath: f.GetDirectPath(), MediaKey: f.GetMediaKey(), SHA256: f.GetFileSHA256(),
			EncSHA256: f.GetFileEncSHA256(), Size: int64(f.GetFileLength()),
		},
	}
}

func mediaData(kind, text string, media *protocol.Media, info *waE2E.ContextInfo) map[string]any {
	data := map[string]any{"type": kind, "media": media}
	if text != "" {
		data["text"] = text
	}
	return withContext(data, info)
}
