package helper

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"os"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"heliograph/link/protocol"
)

// compose makes WhatsApp's message of the gateway's content. Files are uploaded here.
func (p *phone) compose(ctx context.Context, to types.JID, args protocol.SendArgs, files []*os.File) (*waE2E.Message, *protocol.Error) {
	info, fail := p.context(ctx, args)
	if fail != nil {
		return nil, fail
	}
	content := args.Content
	switch content.Type {
	case protocol.KindText:
		if content.Text == "" {
			return nil, protocol.Fail(protocol.CodeBadArgument, "The text is empty")
		}
		if info == nil {
			return &waE2E.Message{Conversation: proto.String(content.Text)}, nil
		}
		return &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{
			Text: proto.String(content.Text), ContextInfo: info,
		}}, nil
	case protocol.KindImage, protocol.KindVideo, protocol.KindAudio, protocol.KindVoice, protocol.KindDocument, protocol.KindSticker:
		return p.composeMedia(ctx, content, info, files)
	case protocol.KindPoll:
		return p.composePoll(content.Poll, args.MessageID, info)
	case protocol.KindLocation:
		return composeLocation(content.Location, info)
	case protocol.KindContact:
		return composeContacts(content.Contacts, info)
	default:
		return nil, protocol.Fail(protocol.CodeBadArgument, "There is no content of type %q", content.Type)
	}
}

// context is what stands beside the content: the quoted message, mentions, the mark of a forward. Nil: nothing.
func (p *phone) context(ctx context.Context, args protocol.SendArgs) (*waE2E.ContextInfo, *protocol.Error) {
	if args.Quoted == nil && len(args.Mentions) == 0 && !args.Forwarded {
		return nil, nil
	}
	info := &waE2E.ContextInfo{}
	if args.Quoted != nil {
		sender := p.own()
		if args.Quoted.Sender != "" {
			jid, fail := parseAddress(args.Quoted.Sender)
			if fail != nil {
				return nil, fail
			}
			sender = p.wireAddress(ctx, jid)
		}
		info.StanzaID = proto.String(args.Quoted.MessageID)
		info.Participant = proto.String(sender.String())
		info.QuotedMessage = &waE2E.Message{Conversation: proto.String(args.Quoted.Text)}
	}
	for _, mention := range args.Mentions {
		jid, fail := parseAddress(mention)
		if fail != nil {
			return nil, fail
		}
		info.MentionedJID = append(info.MentionedJID, p.wireAddress(ctx, jid).String())
	}
	if args.Forwarded {
		info.IsForwarded = proto.Bool(true)
		info.ForwardingScore = proto.Uint32(1)
	}
	return info, nil
}

// own is this phone's address without the device.
func (p *phone) own() types.JID {
	me := p.identity.Load()
	switch {
	case me == nil:
		return types.EmptyJID
	case !me.lid.IsEmpty():
		return me.lid.ToNonAD()
	default:
		return me.jid.ToNonAD()
	}
}

// wireAddress is a person's LID when it is known, else what was given.
func (p *phone) wireAddress(ctx context.Context, jid types.JID) types.JID {
	if jid.Server != types.DefaultUserServer || p.session.Device.LIDs == nil {
		return jid
	}
	if lid, err := p.session.Device.LIDs.GetLIDForPN(ctx, jid); err == nil && !lid.IsEmpty() {
		return lid
	}
	return jid
}

func (p *phone) composePoll(poll *protocol.Poll, id string, info *waE2E.ContextInfo) (*waE2E.Message, *protocol.Error) {
	if poll == nil || poll.Name == "" || len(poll.Options) < 2 || len(poll.Options) > 12 {
		return nil, protocol.Fail(protocol.CodeBadArgument, "A poll needs a name and 2 to 12 options")
	}
	message := p.client.BuildPollCreation(poll.Name, poll.Options, poll.Selectable)
	message.PollCreationMessage.ContextInfo = info
	message.MessageContextInfo.MessageSecret = p.secretOf(id)
	return message, nil
}

// secretOf gives the same secret whenever a message is sent again, so that votes on the first copy can be read.
func (p *phone) secretOf(id string) []byte {
	mac := hmac.New(sha256.New, p.session.Device.IdentityKey.Priv[:])
	mac.Write([]byte("heliograph message secret "))
	mac.Write([]byte(id))
	return mac.Sum(nil)
}

func composeLocation(place *protocol.Location, info *waE2E.ContextInfo) (*waE2E.Message, *protocol.Error) {
	if place == nil {
		return nil, protocol.Fail(protocol.CodeBadArgument, "location is missing")
	}
	message := &waE2E.LocationMessage{
		DegreesLatitude: proto.Float64(place.Latitude), DegreesLongitude: proto.Float64(place.Longitude),
		ContextInfo: info,
	}
	if place.Name != "" {
		message.Name = proto.String(place.Name)
	}
	if place.Address != "" {
		message.Address = proto.String(place.Address)
	}
	return &waE2E.Message{LocationMessage: message}, nil
}

func composeContacts(cards []protocol.Contact, info *waE2E.ContextInfo) (*waE2E.Message, *protocol.Error) {
	if len(cards) == 0 {
		return nil, protocol.Fail(protocol.CodeBadArgument, "contacts is empty")
	}
	made := make([]*waE2E.ContactMessage, len(cards))
	for i, card := range cards {
		made[i] = &waE2E.ContactMessage{DisplayName: proto.String(card.Name), Vcard: proto.String(card.VCard)}
	}
	if len(made) == 1 {
		made[0].ContextInfo = info
		return &waE2E.Message{ContactMessage: made[0]}, nil
	}
	return &waE2E.Message{ContactsArrayMessage: &waE2E.ContactsArrayMessage{
		DisplayName: proto.String(cards[0].Name), Contacts: made, ContextInfo: info,
	}}, nil
}

// composeChange makes an edit, a revocation, a reaction or a vote.
func (p *phone) composeChange(ctx context.Context, verb string, to types.JID, args protocol.ChangeArgs) (*waE2E.Message, *protocol.Error) {
	sender := types.EmptyJID
	if args.TargetSender != "" {
		jid, fail := parseAddress(args.TargetSender)
		if fail != nil {
			return nil, fail
		}
		sender = p.wireAddress(ctx, jid)
	}
	chat := p.wireAddress(ctx, to)
	switch verb {
	case "edit":
		if args.Text == "" {
			return nil, protocol.Fail(protocol.CodeBadArgument, "text is empty")
		}
		return p.client.BuildEdit(chat, args.TargetID, &waE2E.Message{Conversation: proto.String(args.Text)}), nil
	case "revoke":
		return p.client.BuildRevoke(chat, sender, args.TargetID), nil
	case "react":
		return p.client.BuildReaction(chat, sender, args.TargetID, args.Emoji), nil
	default:
		return p.composeVote(ctx, chat, sender, args)
	}
}

func (p *phone) composeVote(ctx context.Context, chat, sender types.JID, args protocol.ChangeArgs) (*waE2E.Message, *protocol.Error) {
	mine := sender.IsEmpty()
	if mine {
		sender = p.own()
	}
	poll := &types.MessageInfo{ID: args.TargetID, MessageSource: types.MessageSource{
		Chat: chat, Sender: sender, IsFromMe: mine, IsGroup: chat.Server == types.GroupServer,
	}}
	message, err := p.client.BuildPollVote(ctx, poll, args.Options)
	if err != nil {
		return nil, protocol.Fail(protocol.CodeBadArgument, "The poll is not known here: %v", err)
	}
	return message, nil
}

// targetKey is what an edit, a reaction or a vote names as its target.
func targetKey(message *waE2E.Message) *waCommon.MessageKey {
	switch {
	case message.GetReactionMessage() != nil:
		return message.GetReactionMessage().GetKey()
	case message.GetPollUpdateMessage() != nil:
		return message.GetPollUpdateMessage().GetPollCreationMessageKey()
	default:
		return message.GetProtocolMessage().GetKey()
	}
}
