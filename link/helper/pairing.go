package helper

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"sync"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"heliograph/link/protocol"
	"heliograph/link/session"
)

// The first code of a connection lasts a minute, the others 20 seconds, as in WhatsApp Web.
const firstCodeCount = 6

var (
	firstCode = 60 * time.Second
	nextCode  = 20 * time.Second
)

// qrCodes shows the codes of one connection, one after the other.
type qrCodes struct {
	lock    sync.Mutex
	left    []string
	current string
	until   time.Time
	timer   *time.Timer
}

// QRCode is the text inside the code that is valid now.
type QRCode struct {
	Code       string  `json:"code"`
	ExpiresInS float64 `json:"expires_in_s"`
	Left       int     `json:"left"`
}

func (q *qrCodes) stop() {
	q.lock.Lock()
	defer q.lock.Unlock()
	q.left, q.current = nil, ""
	if q.timer != nil {
		q.timer.Stop()
	}
}

func (q *qrCodes) rotate(before, after string) {
	q.lock.Lock()
	defer q.lock.Unlock()
	q.current = strings.Replace(q.current, before, after, 1)
	for i, code := range q.left {
		q.left[i] = strings.Replace(code, before, after, 1)
	}
}

func (q *qrCodes) now() (QRCode, bool) {
	q.lock.Lock()
	defer q.lock.Unlock()
	if q.current == "" {
		return QRCode{}, false
	}
	return QRCode{q.current, time.Until(q.until).Seconds(), len(q.left)}, true
}

// showCodes begins with new codes; each is an event when its turn comes.
func (p *phone) showCodes(codes []string) {
	p.qr.stop()
	p.setState(StateNeedsScan, nil)
	p.qr.lock.Lock()
	p.qr.left = append([]string(nil), codes...)
	p.qr.lock.Unlock()
	p.showNext()
}

func (p *phone) showNext() {
	q := &p.qr
	q.lock.Lock()
	if len(q.left) == 0 {
		q.current = ""
		q.lock.Unlock()
		p.client.Disconnect() // which says nothing by itself
		p.disconnected()
		return
	}
	lasts := nextCode
	if len(q.left) >= firstCodeCount {
		lasts = firstCode
	}
	q.current, q.left = q.left[0], q.left[1:]
	q.until = time.Now().Add(lasts)
	q.timer = time.AfterFunc(lasts, p.showNext)
	shown := QRCode{q.current, lasts.Seconds(), len(q.left)}
	q.lock.Unlock()
	p.say.event("qr", shown)
}

// PairCodeArgs are the arguments of `pair_code`.
type PairCodeArgs struct {
	Number string `json:"number"`
	Name   string `json:"name,omitempty"`
}

// WhatsApp refuses names that are not "Browser (System)".
var pairName = regexp.MustCompile(`^[A-Za-z]+ \([A-Za-z ]+\)$`)

func (p *phone) pairCode(ctx context.Context, args PairCodeArgs) (any, *protocol.Error) {
	if p.identity.Load() != nil {
		return nil, protocol.Fail(protocol.CodeAlreadyPaired, "A phone is linked already")
	}
	if _, shown := p.qr.now(); !shown {
		return nil, protocol.Fail(protocol.CodeNotConnected, "Connect first, and wait for the event qr")
	}
	name := args.Name
	if name == "" {
		name = "Chrome (Linux)"
	}
	if !pairName.MatchString(name) {
		return nil, protocol.Fail(protocol.CodeBadArgument, "name must look like: Chrome (Linux)")
	}
	code, err := p.client.PairPhone(ctx, args.Number, true, whatsmeow.PairClientChrome, name)
	if err != nil {
		fail := classify(err)
		if fail.Code == protocol.CodeInternal {
			fail = protocol.Fail(protocol.CodeBadArgument, "%v", err)
		}
		return nil, fail
	}
	return map[string]any{"code": code}, nil
}

// mayPair refuses a phone whose number is not the expected one.
func (p *phone) mayPair(jid types.JID, _, _ string) bool {
	if p.args.ExpectNumber == "" || jid.User == p.args.ExpectNumber {
		return true
	}
	p.say.event("pairing_failed", map[string]any{"error": protocol.Fail(protocol.CodeSessionOther,
		"The phone that scanned has another number than %s", p.args.ExpectNumber)})
	return false
}

func (p *phone) pairedAs(ctx context.Context, e *events.PairSuccess) {
	p.qr.stop()
	p.identity.Store(&identity{jid: e.ID, lid: e.LID})
	if err := p.session.Paired(ctx, e.ID); err != nil {
		p.say.event("store_failed", map[string]any{"error": session.Failure(err)})
	}
	p.say.event("paired", map[string]any{"phone": p.opened(), "platform": e.Platform, "business_name": e.BusinessName})
	p.setState(StateConnecting, nil)
}

func (p *phone) pairingFailed(code string, err error) {
	p.qr.stop()
	if p.args.ExpectNumber != "" && err == whatsmeow.ErrPairRejectedLocally {
		p.setState(StateOffline, protocol.Fail(protocol.CodeSessionOther, "Another number scanned the code"))
		return
	}
	fail := protocol.Fail(code, "Linking failed: %v", err)
	p.say.event("pairing_failed", map[string]any{"error": fail})
	p.setState(StateOffline, fail)
}

func (p *phone) passkeyWanted(e *events.PairPasskeyRequest) {
	p.setState(StatePasskeyWanted, nil)
	p.say.event("passkey_wanted", map[string]any{"public_key": e.PublicKey})
}

func (p *phone) passkeyToConfirm(e *events.PairPasskeyConfirmation) {
	if e.SkipHandoffUX { // the phone scanned our code just now: WhatsApp asks for no comparison
		if err := p.client.SendPasskeyConfirmation(context.Background()); err != nil {
			p.pairingFailed(protocol.CodePairingFailed, err)
		}
		return
	}
	p.setState(StatePasskeyCheck, nil)
	p.say.event("passkey_to_confirm", map[string]any{"code": e.Code})
}

// PasskeyAnswerArgs are the arguments of `passkey_answer`: what the authenticator gave, as browsers write it.
type PasskeyAnswerArgs struct {
	Response json.RawMessage `json:"response"`
}

func (p *phone) passkeyAnswer(ctx context.Context, args PasskeyAnswerArgs) (any, *protocol.Error) {
	var response types.WebAuthnResponse
	if err := json.Unmarshal(args.Response, &response); err != nil {
		return nil, protocol.Fail(protocol.CodeBadArgument, "response is not an answer of an authenticator: %v", err)
	}
	if err := p.client.SendPasskeyResponse(ctx, &response); err != nil {
		return nil, classify(err)
	}
	return struct{}{}, nil
}

func (p *phone) passkeyConfirm(ctx context.Context) (any, *protocol.Error) {
	if err := p.client.SendPasskeyConfirmation(ctx); err != nil {
		return nil, classify(err)
	}
	return struct{}{}, nil
}

// logout unlinks the device for good. The answer says whether WhatsApp confirmed it.
func (p *phone) logout(ctx context.Context) (any, *protocol.Error) {
	if fail := p.ready(); fail != nil {
		return nil, fail
	}
	if err := p.client.Logout(ctx); err != nil {
		return nil, classify(err)
	}
	_ = p.session.Forget(ctx)
	p.identity.Store(nil)
	p.end(StateLoggedOut, nil)
	return map[string]any{"confirmed": true}, nil
}
