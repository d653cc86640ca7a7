package helper

import (
	"context"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"heliograph/link/memory"
	"heliograph/link/protocol"
)

// hear gets every event of the library. False: the event is not acknowledged, so WhatsApp sends it again.
func (p *phone) hear(event any) bool {
	ctx := context.Background()
	switch e := event.(type) {
	case *events.QR:
		p.showCodes(e.Codes)
	case *events.RotateADVSecret:
		p.qr.rotate(e.OldSecret, e.NewSecret)
	case *events.PairSuccess:
		p.pairedAs(ctx, e)
	case *events.PairError:
		p.pairingFailed(protocol.CodePairingFailed, e.Error)
	case *events.QRScannedWithoutMultidevice:
		p.say.event("pairing_failed", map[string]any{"error": protocol.Fail(protocol.CodePairingFailed,
			"The phone that scanned has linked devices switched off")})
	case *events.PairPasskeyRequest:
		p.passkeyWanted(e)
	case *events.PairPasskeyConfirmation:
		p.passkeyToConfirm(e)
	case *events.PairPasskeyError:
		p.pairingFailed(protocol.CodePairingFailed, e.Error)
	case *events.Connected:
		p.connected()
	case *events.Disconnected:
		p.disconnected()
	case *events.LoggedOut:
		p.forgotten(ctx)
		p.end(loggedOutState(e), protocol.Fail(protocol.CodeLoggedOut, "WhatsApp logged this device out: %s", reasonText(e)))
	case *events.StreamReplaced:
		p.end(StateReplaced, protocol.Fail(protocol.CodeReplaced, "Another connection took this device's place"))
	case *events.TemporaryBan:
		fail := protocol.Fail(protocol.CodeBanned, "WhatsApp has banned this number for a while: %s", e.Code)
		fail.RetryAfterS = e.Expire.Seconds()
		fail.ServerCode = int(e.Code)
		p.end(StateBanned, fail)
	case *events.ClientOutdated:
		p.end(StateOutdated, protocol.Fail(protocol.CodeClientOutdated, "WhatsApp asks for a newer version of the helper"))
	case *events.ConnectFailure:
		fail := protocol.Fail(protocol.CodeServerRefused, "WhatsApp refused the connection: %s %s", e.Reason, e.Message)
		fail.ServerCode = int(e.Reason)
		p.setState(StateOffline, fail)
	case *events.StreamError:
		p.setState(StateOffline, protocol.Fail(protocol.CodeServerRefused, "WhatsApp closed the stream with code %q", e.Code))
	case *events.KeepAliveTimeout:
		p.say.event("keepalive", map[string]any{"failures": e.ErrorCount, "last_success_s": e.LastSuccess.Unix()})
	case *events.NotifyAccountReachoutTimelock:
		p.timelock(e)
	case *events.Receipt:
		return p.receipt(ctx, e)
	case *events.Message:
		return p.message(ctx, e)
	case *events.UndecryptableMessage:
		p.say.event("undecryptable", map[string]any{
			"message_id": e.Info.ID, "chat": p.address(ctx, e.Info.Chat, types.EmptyJID).text,
			"unavailable": e.IsUnavailable, "timestamp_s": e.Info.Timestamp.Unix(),
		})
	case *events.HistorySync:
		p.history(ctx, e)
	case *events.GroupInfo:
		p.groupChanged(ctx, e)
	case *events.JoinedGroup:
		p.say.event("group", map[string]any{"change": "joined", "group": p.groupData(ctx, &e.GroupInfo, true)})
	case *events.IdentityChange:
		p.say.event("identity", map[string]any{"chat": p.address(ctx, e.JID, types.EmptyJID).text})
	}
	return true
}

// forgotten waits until the library has dropped the device: who restarts the helper then finds an empty session.
func (p *phone) forgotten(ctx context.Context) {
	for range 100 {
		if known, err := p.session.Known(ctx); err == nil && !known {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	_ = p.session.Forget(ctx)
	p.identity.Store(nil)
}

func loggedOutState(e *events.LoggedOut) string {
	if e.OnConnect && e.Reason == events.ConnectFailureUnknownLogout {
		return StateBanned
	}
	return StateLoggedOut
}

func reasonText(e *events.LoggedOut) string {
	if e.OnConnect {
		return e.Reason.String()
	}
	return "unlinked from the phone"
}

func (p *phone) connected() {
	p.qr.stop()
	p.remember()
	if me := p.identity.Load(); p.args.ExpectNumber != "" && me != nil && me.jid.User != p.args.ExpectNumber {
		p.end(StateOffline, protocol.Fail(protocol.CodeSessionOther, "The session belongs to another number"))
		p.client.Disconnect()
		return
	}
	p.setState(StateConnected, nil)
	go memory.Settle()
}

func (p *phone) disconnected() {
	if p.identity.Load() == nil {
		p.qr.stop()
		p.setState(StateOffline, protocol.Fail(protocol.CodeNotPaired, "The codes ran out before one was scanned; connect again for new ones"))
		return
	}
	p.setState(StateOffline, protocol.Fail(protocol.CodeConnectionLost, "The connection closed; it is opened again"))
}

func (p *phone) timelock(e *events.NotifyAccountReachoutTimelock) {
	data := map[string]any{"active": e.IsActive, "kind": e.EnforcementType}
	if until := e.TimeEnforcementEnds.Time; !until.IsZero() && until.Unix() > 0 {
		data["until_s"] = until.Unix()
	}
	p.say.event("timelock", data)
}

var receiptWords = map[types.ReceiptType]string{
	types.ReceiptTypeDelivered:   "delivered",
	types.ReceiptTypeInactive:    "delivered",
	types.ReceiptTypeRead:        "read",
	types.ReceiptTypePlayed:      "played",
	types.ReceiptTypeReadSelf:    "read_self",
	types.ReceiptTypeRetry:       "retry",
	types.ReceiptTypePlayedSelf:  "played_self",
	types.ReceiptTypeServerError: "media_error",
}

func (p *phone) receipt(ctx context.Context, e *events.Receipt) bool {
	word, known := receiptWords[e.Type]
	if !known {
		return true // between our own devices
	}
	chat := p.address(ctx, e.Chat, types.EmptyJID)
	data := map[string]any{
		"type": word, "message_ids": e.MessageIDs, "chat": chat.text, "timestamp_s": unix(e.Timestamp),
	}
	chat.addLID(data, "chat_lid")
	if e.IsGroup {
		sender := p.address(ctx, e.Sender, e.SenderAlt)
		data["sender"] = sender.text
		sender.addLID(data, "sender_lid")
	}
	return p.say.deliver("receipt", data, p.args.ConfirmEvents)
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// address is a person or group as the gateway writes it, with the LID when it is known.
type address struct {
	text string
	lid  string
}

func (a address) addLID(data map[string]any, name string) {
	if a.lid != "" {
		data[name] = a.lid
	}
}

// address writes a JID as `<number>@c.us`, `<lid>@lid` or `<digits>@g.us`; `other` is the person's second address.
func (p *phone) address(ctx context.Context, jid, other types.JID) address {
	jid, other = jid.ToNonAD(), other.ToNonAD()
	lids := p.session.Device.LIDs
	var person, lid types.JID
	for _, one := range []types.JID{jid, other} {
		switch one.Server {
		case types.DefaultUserServer, types.LegacyUserServer, types.HostedServer:
			person = types.NewJID(one.User, types.DefaultUserServer)
		case types.HiddenUserServer, types.HostedLIDServer:
			lid = types.NewJID(one.User, types.HiddenUserServer)
		}
	}
	if person.IsEmpty() && lid.IsEmpty() {
		return address{text: jid.String()}
	}
	if lids != nil && person.IsEmpty() {
		person, _ = lids.GetPNForLID(ctx, lid)
	} else if lids != nil && lid.IsEmpty() {
		lid, _ = lids.GetLIDForPN(ctx, person)
	}
	out := address{}
	if !lid.IsEmpty() {
		out.lid = lid.User + "@lid"
		out.text = out.lid
	}
	if !person.IsEmpty() {
		out.text = person.User + "@c.us"
	}
	return out
}

// parseAddress reads a chat or person as the gateway writes it.
func parseAddress(text string) (types.JID, *protocol.Error) {
	user, server, found := strings.Cut(text, "@")
	if user == "" || strings.ContainsAny(user, ":.") {
		return types.EmptyJID, protocol.Fail(protocol.CodeBadAddress, "%q is not a chat id", text)
	}
	switch {
	case !found, server == "c.us", server == types.DefaultUserServer:
		if strings.Trim(user, "0123456789") != "" {
			return types.EmptyJID, protocol.Fail(protocol.CodeBadAddress, "%q is not a number", text)
		}
		return types.NewJID(user, types.DefaultUserServer), nil
	case server == "lid":
		return types.NewJID(user, types.HiddenUserServer), nil
	case server == "g.us":
		return types.NewJID(user, types.GroupServer), nil
	default:
		return types.EmptyJID, protocol.Fail(protocol.CodeBadAddress, "%q is not a chat id", text)
	}
}
