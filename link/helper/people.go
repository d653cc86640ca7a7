package helper

import (
	"context"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/types"

	"heliograph/link/protocol"
	"heliograph/link/session"
)

// maxNumbers is how many numbers one question may hold.
const maxNumbers = 100

// PeopleArgs are the arguments of `check` and `resolve`.
type PeopleArgs struct {
	Numbers []string `json:"numbers,omitempty"`
	LIDs    []string `json:"lids,omitempty"`
}

// check asks WhatsApp which numbers it knows.
func (p *phone) check(ctx context.Context, args PeopleArgs) (any, *protocol.Error) {
	if len(args.Numbers) == 0 || len(args.Numbers) > maxNumbers || len(args.LIDs) > 0 {
		return nil, protocol.Fail(protocol.CodeBadArgument, "check takes 1 to %d numbers", maxNumbers)
	}
	asked := make([]string, len(args.Numbers))
	for i, text := range args.Numbers {
		jid, fail := parseAddress(text)
		if fail != nil || jid.Server != types.DefaultUserServer {
			return nil, protocol.Fail(protocol.CodeBadArgument, "%q is not a number", text)
		}
		asked[i] = "+" + jid.User
	}
	answers, err := p.client.IsOnWhatsApp(ctx, asked)
	if err != nil {
		return nil, classify(err)
	}
	found := map[string]types.IsOnWhatsAppResponse{}
	for _, one := range answers {
		found[strings.TrimPrefix(one.Query, "+")] = one
	}
	out := make([]map[string]any, len(asked))
	for i, text := range asked {
		one, known := found[text[1:]]
		data := map[string]any{"asked": args.Numbers[i], "on_whatsapp": known && one.IsIn}
		if known && one.IsIn {
			who := p.address(ctx, one.JID, one.PhoneNumber)
			data["chat"] = who.text
			who.addLID(data, "lid")
			if one.VerifiedName != nil {
				data["business_name"] = one.VerifiedName.Details.GetVerifiedName()
			}
		}
		out[i] = data
	}
	return map[string]any{"people": out}, nil
}

// resolve gives the second address of people: from the session, and for numbers from WhatsApp where it is missing.
func (p *phone) resolve(ctx context.Context, args PeopleArgs) (any, *protocol.Error) {
	if n := len(args.Numbers) + len(args.LIDs); n == 0 || n > maxNumbers {
		return nil, protocol.Fail(protocol.CodeBadArgument, "resolve takes 1 to %d numbers and lids", maxNumbers)
	}
	lids := p.session.Device.LIDs
	out := []map[string]any{}
	for _, text := range args.LIDs {
		lid := types.NewJID(strings.TrimSuffix(text, "@lid"), types.HiddenUserServer)
		person, err := lids.GetPNForLID(ctx, lid)
		if err != nil {
			return nil, session.Failure(err)
		}
		data := map[string]any{"lid": lid.User + "@lid"}
		if !person.IsEmpty() {
			data["chat"] = person.User + "@c.us"
		}
		out = append(out, data)
	}
	var missing []types.JID
	var numbers []types.JID
	for _, text := range args.Numbers {
		jid, fail := parseAddress(text)
		if fail != nil || jid.Server != types.DefaultUserServer {
			return nil, protocol.Fail(protocol.CodeBadArgument, "%q is not a number", text)
		}
		numbers = append(numbers, jid)
		if lid, err := lids.GetLIDForPN(ctx, jid); err != nil {
			return nil, session.Failure(err)
		} else if lid.IsEmpty() {
			missing = append(missing, jid)
		}
	}
	if len(missing) > 0 {
		if _, err := p.client.GetUserInfo(ctx, missing); err != nil {
			return nil, classify(err)
		}
	}
	for _, jid := range numbers {
		data := map[string]any{"chat": jid.User + "@c.us"}
		if lid, err := lids.GetLIDForPN(ctx, jid); err == nil && !lid.IsEmpty() {
			data["lid"] = lid.User + "@lid"
		}
		out = append(out, data)
	}
	return map[string]any{"people": out}, nil
}

// ReadArgs are the arguments of `mark_read`.
type ReadArgs struct {
	Chat       string   `json:"chat"`
	Sender     string   `json:"sender,omitempty"`
	MessageIDs []string `json:"message_ids"`
	Played     bool     `json:"played,omitempty"`
}

func (p *phone) markRead(ctx context.Context, args ReadArgs) (any, *protocol.Error) {
	chat, fail := parseAddress(args.Chat)
	if fail != nil {
		return nil, fail
	}
	if len(args.MessageIDs) == 0 {
		return nil, protocol.Fail(protocol.CodeBadArgument, "message_ids is empty")
	}
	sender := types.EmptyJID
	if args.Sender != "" {
		if sender, fail = parseAddress(args.Sender); fail != nil {
			return nil, fail
		}
		sender = p.wireAddress(ctx, sender)
	} else if chat.Server == types.GroupServer {
		return nil, protocol.Fail(protocol.CodeBadArgument, "sender is missing: whose messages of the group were read?")
	}
	kind := types.ReceiptTypeRead
	if args.Played {
		kind = types.ReceiptTypePlayed
	}
	if err := p.client.MarkRead(ctx, args.MessageIDs, time.Now(), p.wireAddress(ctx, chat), sender, kind); err != nil {
		return nil, classify(err)
	}
	return struct{}{}, nil
}

// TypingArgs are the arguments of `typing`.
type TypingArgs struct {
	Chat  string `json:"chat"`
	State string `json:"state"`
}

func (p *phone) typing(ctx context.Context, args TypingArgs) (any, *protocol.Error) {
	chat, fail := parseAddress(args.Chat)
	if fail != nil {
		return nil, fail
	}
	presence, media := types.ChatPresenceComposing, types.ChatPresenceMediaText
	switch args.State {
	case "typing":
	case "recording":
		media = types.ChatPresenceMediaAudio
	case "paused":
		presence = types.ChatPresencePaused
	default:
		return nil, protocol.Fail(protocol.CodeBadArgument, "state must be typing, recording or paused")
	}
	if err := p.client.SendChatPresence(ctx, p.wireAddress(ctx, chat), presence, media); err != nil {
		return nil, classify(err)
	}
	return struct{}{}, nil
}
