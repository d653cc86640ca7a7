package testnetwork

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mau.fi/libsignal/ecc"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/proto/waCompanionReg"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// A linked device is admitted by a signature of the person's phone over its key.

var (
	accountPrefix = []byte{6, 0}
	devicePrefix  = []byte{6, 1}
)

// errNotScannable says that the text is no code that is shown now.
var errNotScannable = errors.New("no linked device shows this code now: it may have run out")

// scanned is what a QR code says.
type scanned struct {
	ref       string
	noise     []byte
	identity  []byte
	advSecret []byte
}

func parseQR(text string) (*scanned, error) {
	if _, rest, found := strings.Cut(text, "#"); found {
		text = rest
	}
	parts := strings.Split(text, ",")
	if len(parts) < 4 {
		return nil, errNotScannable
	}
	out := &scanned{ref: parts[0]}
	for i, into := range []*[]byte{&out.noise, &out.identity, &out.advSecret} {
		data, err := base64.StdEncoding.DecodeString(parts[i+1])
		if err != nil || len(data) != 32 {
			return nil, errNotScannable
		}
		*into = data
	}
	return out, nil
}

// Scan is a person's phone that scans the code.
func (n *Network) Scan(ctx context.Context, qr, number string) error {
	code, err := parseQR(qr)
	if err != nil {
		return err
	}
	n.lock.Lock()
	c := n.unpaired[code.ref]
	n.lock.Unlock()
	if c == nil || string(code.noise) != string(c.key[:]) || string(code.identity) != string(c.wish.GetEIdent()) {
		return errNotScannable
	}
	owner, err := n.people.byNumber(ctx, number)
	if err != nil {
		return err
	}
	wanted, err := n.passkeyWanted(ctx, number)
	if err != nil {
		return err
	}
	if wanted {
		return c.askPasskey(owner, code.advSecret)
	}
	return c.admit(ctx, owner, code.advSecret)
}

// admit signs the device's key as the person's phone does, and tells the device.
func (c *client) admit(ctx context.Context, owner *person, advSecret []byte) error {
	n := c.network
	var last int
	if _, err := n.journal.one(ctx, []any{&last}, "SELECT COALESCE(MAX(device), 0) FROM linked_devices WHERE number = $1", owner.number); err != nil {
		return err
	}
	device := last + 1
	details, err := proto.Marshal(&waAdv.ADVDeviceIdentity{
		RawID: proto.Uint32(owner.keys.RegistrationID), Timestamp: proto.Uint64(uint64(time.Now().Unix())),
		KeyIndex:    proto.Uint32(uint32(device)),
		AccountType: waAdv.ADVEncryptionType_E2EE.Enum(), DeviceType: waAdv.ADVEncryptionType_E2EE.Enum(),
	})
	if err != nil {
		return err
	}
	signed := append(append(append([]byte(nil), accountPrefix...), details...), c.wish.GetEIdent()...)
	signature := ecc.CalculateSignature(ecc.NewDjbECPrivateKey(*owner.keys.IdentityKey.Priv), signed)
	inner, err := proto.Marshal(&waAdv.ADVSignedDeviceIdentity{
		Details: details, AccountSignatureKey: owner.keys.IdentityKey.Pub[:], AccountSignature: signature[:],
	})
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, advSecret)
	mac.Write(inner)
	outer, err := proto.Marshal(&waAdv.ADVSignedDeviceIdentityHMAC{Details: inner, HMAC: mac.Sum(nil)})
	if err != nil {
		return err
	}
	c.pairing = &pairing{owner: owner, device: uint16(device), details: details}
	jid := types.JID{User: owner.number, Device: uint16(device), Server: types.DefaultUserServer}
	lid := types.JID{User: owner.lid, Device: uint16(device), Server: types.HiddenUserServer}
	return c.stream.Write(waBinary.Node{
		Tag:   "iq",
		Attrs: waBinary.Attrs{"from": types.ServerJID, "type": "set", "id": "pair-2", "xmlns": "md", "t": time.Now().Unix()},
		Content: []waBinary.Node{{Tag: "pair-success", Content: []waBinary.Node{
			{Tag: "device-identity", Content: outer},
			{Tag: "device", Attrs: waBinary.Attrs{"jid": jid, "lid": lid}},
			{Tag: "platform", Attrs: waBinary.Attrs{"name": "android"}},
		}}},
	})
}

// pairing is a device that was scanned and has not signed yet, or that has to show a passkey first.
type pairing struct {
	owner   *person
	device  uint16
	details []byte
	code    *codePairing
	passkey *passkeyPairing
}

// paired checks the device's own signature and lets it in. The connection ends; the device logs in on a new one.
func (c *client) paired(ctx context.Context, node *waBinary.Node) error {
	sign, ok := node.GetOptionalChildByTag("pair-device-sign", "device-identity")
	body, isBytes := sign.Content.([]byte)
	if !ok || !isBytes || c.pairing == nil || c.pairing.owner == nil {
		return fmt.Errorf("pairing of %s was refused by the device", c.wish)
	}
	var identity waAdv.ADVSignedDeviceIdentity
	if err := proto.Unmarshal(body, &identity); err != nil {
		return err
	}
	p := c.pairing
	message := append(append([]byte(nil), devicePrefix...), p.details...)
	message = append(append(message, c.wish.GetEIdent()...), p.owner.keys.IdentityKey.Pub[:]...)
	if len(identity.DeviceSignature) != 64 || !ecc.VerifySignature(ecc.NewDjbECPublicKey([32]byte(c.wish.GetEIdent())),
		message, [64]byte(identity.DeviceSignature)) {
		return fmt.Errorf("the device's signature is wrong")
	}
	if err := c.register(ctx, p); err != nil {
		return err
	}
	err := c.stream.Write(waBinary.Node{Tag: "stream:error", Attrs: waBinary.Attrs{"code": "515"}})
	c.closeSoon(2 * time.Second) // the device reconnects by itself before
	return err
}

func (c *client) register(ctx context.Context, p *pairing) error {
	var props waCompanionReg.DeviceProps
	_ = proto.Unmarshal(c.wish.GetDeviceProps(), &props)
	return c.network.journal.exec(ctx, `
		INSERT INTO linked_devices (number, device, noise, identity, registration, signed_id, signed_key, signature, system, linked_at_us)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		p.owner.number, p.device, c.key[:], c.wish.GetEIdent(), bigEndian(c.wish.GetERegid()), bigEndian(c.wish.GetESkeyID()),
		c.wish.GetESkeyVal(), c.wish.GetESkeySig(), props.GetOs(), nowMicros())
}

func bigEndian(data []byte) uint32 {
	var out uint32
	for _, one := range data {
		out = out<<8 | uint32(one)
	}
	return out
}

// Unlink is the person's phone that removes its linked devices.
func (n *Network) Unlink(ctx context.Context, number string) (int, error) {
	devices, err := n.devicesOf(ctx, number)
	if err != nil {
		return 0, err
	}
	for _, device := range devices {
		if err = n.remove(ctx, number, device); err != nil {
			return 0, err
		}
		n.lock.Lock()
		there := n.clients[deviceKey{number, device}]
		n.lock.Unlock()
		if there != nil {
			there.unlink()
		}
	}
	return len(devices), nil
}

func (n *Network) remove(ctx context.Context, number string, device uint16) error {
	return n.journal.transaction(ctx, func(ctx context.Context) error {
		for _, statement := range []string{
			"UPDATE linked_devices SET gone = 1 WHERE number = $1 AND device = $2",
			"DELETE FROM linked_prekeys WHERE number = $1 AND device = $2",
			"DELETE FROM linked_outbox WHERE number = $1 AND device = $2",
		} {
			if err := n.journal.exec(ctx, statement, number, device); err != nil {
				return err
			}
		}
		return nil
	})
}
