// Package helper is the inside of heliograph-link: one linked device, spoken to by the link protocol.
//
// It decides nothing. It keeps no queue, sends nothing again by itself, and reports what happened.
package helper

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waCompanionReg"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"heliograph/link/memory"
	"heliograph/link/protocol"
	"heliograph/link/session"
)

const (
	defaultSystem   = "Linux"
	historyPerChat  = 20
	historyDays     = 7
	clockToleranceS = 300
)

// OpenArgs are the arguments of the verb `open`.
type OpenArgs struct {
	Store         session.Args `json:"store"`
	ExpectNumber  string       `json:"expect_number,omitempty"`
	System        string       `json:"system,omitempty"`
	LocalURL      string       `json:"local_url,omitempty"`
	ConfirmEvents bool         `json:"confirm_events,omitempty"`
}

// Opened is the answer to `open` and `state`.
type Opened struct {
	Paired    bool   `json:"paired"`
	Number    string `json:"number,omitempty"`
	LID       string `json:"lid,omitempty"`
	Device    uint16 `json:"device,omitempty"`
	Connected bool   `json:"connected"`
	State     string `json:"state"`
}

// The states of a phone, as `state` and the event `state` give them.
const (
	StateOffline       = "offline"
	StateConnecting    = "connecting"
	StateNeedsScan     = "needs_scan"
	StatePasskeyWanted = "passkey_wanted"
	StatePasskeyCheck  = "passkey_to_confirm"
	StateConnected     = "connected"
	StateReplaced      = "replaced"
	StateLoggedOut     = "logged_out"
	StateBanned        = "banned"
	StateOutdated      = "client_outdated"
)

// phone is one open session.
type phone struct {
	args    OpenArgs
	session *session.Session
	client  *whatsmeow.Client
	say     *speaker
	qr      qrCodes

	state    atomic.Value // string
	ended    atomic.Value // string: a state that connecting cannot leave
	clockS   atomic.Int64
	identity atomic.Pointer[identity]
	busyAt   atomic.Int64 // when something was last sent or received
	dialling sync.Mutex
	lane     chan struct{} // one message in flight
	flight   flight
}

// openPhone opens the session and makes the client. It does not connect.
func openPhone(ctx context.Context, args OpenArgs, say *speaker, level Level) (*phone, *protocol.Error) {
	opened, fail := session.Open(ctx, args.Store)
	if fail != nil {
		return nil, fail
	}
	if known := number(opened.Device); known != "" && args.ExpectNumber != "" && known != args.ExpectNumber {
		opened.Close()
		return nil, protocol.Fail(protocol.CodeSessionOther,
			"The session belongs to another number than %s", args.ExpectNumber)
	}
	p := &phone{args: args, session: opened, say: say, lane: make(chan struct{}, 1)}
	p.state.Store(StateOffline)
	p.ended.Store("")
	p.remember()
	describeDevice(args.System)
	p.client = whatsmeow.NewClient(opened.Device, &tap{module: "Client", wire: p, level: level})
	p.client.SynchronousAck = true
	p.client.EnableDecryptedEventBuffer = true
	p.client.UseRetryMessageStore = true
	p.client.AutoReconnectHook = p.reconnectFailed
	p.client.PrePairCallback = p.mayPair
	p.client.SetForceActiveDeliveryReceipts(true)
	p.client.AddEventHandlerWithSuccessStatus(p.hear)
	if fail := useNetwork(p.client, args.LocalURL); fail != nil {
		opened.Close()
		return nil, fail
	}
	go p.trim()
	return p, nil
}

// describeDevice sets what the person's phone shows under "Linked devices", and asks for little history.
func describeDevice(system string) {
	if system == "" {
		system = defaultSystem
	}
	props := store.DeviceProps
	props.Os = proto.String(system)
	props.PlatformType = waCompanionReg.DeviceProps_CHROME.Enum()
	props.RequireFullSync = proto.Bool(false)
	history := props.HistorySyncConfig
	history.FullSyncDaysLimit = proto.Uint32(historyDays)
	history.RecentSyncDaysLimit = proto.Uint32(historyDays)
	history.ThumbnailSyncDaysLimit = proto.Uint32(0)
	history.InitialSyncMaxMessagesPerChat = proto.Uint32(historyPerChat)
	history.StorageQuotaMb = proto.Uint32(32)
	history.FullSyncSizeMbLimit = proto.Uint32(8)
}

func (p *phone) close() {
	p.client.Disconnect()
	p.session.Close()
}

// connect dials once. A failure is the caller's to repeat; after the first success the library reconnects.
func (p *phone) connect(ctx context.Context) *protocol.Error {
	p.dialling.Lock()
	defer p.dialling.Unlock()
	if ended, _ := p.ended.Load().(string); ended != "" {
		return protocol.Fail(endedCode(ended), "The phone is %s; restart the helper to connect again", ended)
	}
	if p.client.IsConnected() {
		return nil
	}
	p.setState(StateConnecting, nil)
	err := p.client.ConnectContext(context.WithoutCancel(ctx))
	if err != nil && !errors.Is(err, whatsmeow.ErrAlreadyConnected) { // the library may have been quicker
		fail := connectFailure(err)
		p.setState(StateOffline, fail)
		return fail
	}
	return nil
}

func endedCode(state string) string {
	switch state {
	case StateReplaced:
		return protocol.CodeReplaced
	case StateBanned:
		return protocol.CodeBanned
	case StateOutdated:
		return protocol.CodeClientOutdated
	default:
		return protocol.CodeLoggedOut
	}
}

func (p *phone) reconnectFailed(err error) bool {
	p.say.event("reconnect_failed", map[string]any{
		"attempt": p.client.AutoReconnectErrors, "error": connectFailure(err),
	})
	return true
}

// setState tells the gateway of a new state, with the reason when there is one.
func (p *phone) setState(state string, reason *protocol.Error) {
	if p.state.Swap(state) == state && reason == nil {
		return
	}
	data := map[string]any{"state": state}
	if reason != nil {
		data["error"] = reason
	}
	if state == StateConnected {
		data["phone"] = p.opened()
	}
	p.say.event("state", data)
}

// end is a state that only a new helper leaves.
func (p *phone) end(state string, reason *protocol.Error) {
	p.ended.Store(state)
	p.qr.stop()
	p.setState(state, reason)
}

func (p *phone) opened() Opened {
	state, _ := p.state.Load().(string)
	out := Opened{State: state, Connected: state == StateConnected}
	if me := p.identity.Load(); me != nil {
		out.Paired, out.Number, out.Device = true, me.jid.User, me.jid.Device
		if !me.lid.IsEmpty() {
			out.LID = me.lid.User + "@lid"
		}
	}
	return out
}

// identity is who this device is; the library changes its own copy while it pairs.
type identity struct {
	jid, lid types.JID
}

// remember takes the identity over. It is called where the library does not change it: at the start, and in events.
func (p *phone) remember() {
	device := p.session.Device
	if device.ID == nil {
		p.identity.Store(nil)
		return
	}
	p.identity.Store(&identity{jid: *device.ID, lid: device.LID})
}

// busy is called for every stanza.
func (p *phone) busy() { p.busyAt.Store(time.Now().UnixNano()) }

// serverTime compares the clocks: a wrong clock breaks certificates and retries later on.
func (p *phone) serverTime(unix int64) {
	if unix == 0 {
		return
	}
	offset := unix - time.Now().Unix()
	p.clockS.Store(offset)
	if offset > clockToleranceS || offset < -clockToleranceS {
		p.say.event("clock", map[string]any{"offset_s": offset})
	}
}

// ready says whether a stanza can be sent now.
func (p *phone) ready() *protocol.Error {
	if ended, _ := p.ended.Load().(string); ended != "" {
		return protocol.Fail(endedCode(ended), "The phone is %s", ended)
	}
	if p.identity.Load() == nil {
		return protocol.Fail(protocol.CodeNotPaired, "No phone is linked yet")
	}
	if !p.client.IsConnected() || !p.client.IsLoggedIn() {
		return protocol.Fail(protocol.CodeNotConnected, "There is no connection to WhatsApp now")
	}
	return nil
}

// number is the phone number of a device, empty before pairing.
func number(device *store.Device) string {
	if device.ID == nil {
		return ""
	}
	return device.ID.User
}

// trimEvery is how long a helper must be idle before it gives memory back.
const trimEvery = 10 * time.Second

// trim gives memory back after bursts, once for each.
func (p *phone) trim() {
	ticker := time.NewTicker(trimEvery)
	defer ticker.Stop()
	var freed int64
	for {
		select {
		case <-p.say.ended:
			return
		case <-ticker.C:
		}
		if last := p.busyAt.Load(); last != freed && time.Now().UnixNano()-last > int64(trimEvery) {
			memory.Release()
			freed = last
		}
	}
}
