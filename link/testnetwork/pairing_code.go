package testnetwork

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waCompanionReg"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/gcmutil"
	"go.mau.fi/whatsmeow/util/hkdfutil"
	"go.mau.fi/whatsmeow/util/keys"
	"golang.org/x/crypto/curve25519"
	"google.golang.org/protobuf/proto"
)

// Two other ways to link: a code that is typed into the phone, and a passkey that is asked for after the scan.

const codeRounds = 2 << 16

var codeAlphabet = base32.NewEncoding("123456789ABCDEFGHJKLMNPQRSTVWXYZ")

// codePairing is a device that waits for its code to be typed.
type codePairing struct {
	number    string
	ref       string
	wrapped   []byte
	ephemeral *keys.KeyPair
	companion []byte
}

func (c *client) codeQuery(ctx context.Context, stage *waBinary.Node) ([]waBinary.Node, int, error) {
	switch attr(stage, "stage") {
	case "companion_hello":
		wrapped, _ := stage.GetChildByTag("link_code_pairing_wrapped_companion_ephemeral_pub").Content.([]byte)
		if len(wrapped) != 80 {
			return nil, 400, nil
		}
		c.pairing = &pairing{code: &codePairing{number: jidAttr(stage, "jid").User, ref: newMessageID(), wrapped: wrapped}}
		return []waBinary.Node{{Tag: "link_code_companion_reg", Content: []waBinary.Node{
			{Tag: "link_code_pairing_ref", Content: []byte(c.pairing.code.ref)},
		}}}, 0, nil
	case "companion_finish":
		if c.pairing == nil || c.pairing.code == nil {
			return nil, 400, nil
		}
		bundle, _ := stage.GetChildByTag("link_code_pairing_wrapped_key_bundle").Content.([]byte)
		if err := c.finishCode(ctx, bundle); err != nil {
			return nil, 400, nil
		}
		return nil, 0, nil
	default:
		return nil, 400, nil
	}
}

func codeCipher(code string, salt, iv, data []byte) ([]byte, error) {
	key, err := pbkdf2.Key(sha256.New, code, salt, codeRounds, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(data))
	cipher.NewCTR(block, iv).XORKeyStream(out, data)
	return out, nil
}

// TypeCode is a person who types the code of a device into the phone with this number.
func (n *Network) TypeCode(ctx context.Context, number, code string) error {
	code = strings.ReplaceAll(code, "-", "")
	n.lock.Lock()
	var c *client
	for _, one := range n.unpaired {
		if one.pairing != nil && one.pairing.code != nil && one.pairing.code.number == number {
			c = one
		}
	}
	n.lock.Unlock()
	if c == nil {
		return errNotScannable
	}
	owner, err := n.people.byNumber(ctx, number)
	if err != nil {
		return err
	}
	p := c.pairing.code
	if p.companion, err = codeCipher(code, p.wrapped[:32], p.wrapped[32:48], p.wrapped[48:]); err != nil {
		return err
	}
	p.ephemeral = keys.NewKeyPair()
	head := make([]byte, 48)
	_, _ = rand.Read(head)
	mine, err := codeCipher(code, head[:32], head[32:], p.ephemeral.Pub[:])
	if err != nil {
		return err
	}
	c.pairing.owner = owner
	return c.stream.Write(waBinary.Node{Tag: "notification",
		Attrs: waBinary.Attrs{"from": types.ServerJID, "type": "link_code_companion_reg", "id": "code-1", "t": time.Now().Unix()},
		Content: []waBinary.Node{{Tag: "link_code_companion_reg", Attrs: waBinary.Attrs{"stage": "primary_hello"}, Content: []waBinary.Node{
			{Tag: "link_code_pairing_ref", Content: []byte(p.ref)},
			{Tag: "link_code_pairing_wrapped_primary_ephemeral_pub", Content: append(head, mine...)},
			{Tag: "primary_identity_pub", Content: owner.keys.IdentityKey.Pub[:]},
		}}}})
}

// finishCode opens the device's bundle: with a wrong code it does not open.
func (c *client) finishCode(ctx context.Context, bundle []byte) error {
	p, owner := c.pairing.code, c.pairing.owner
	if owner == nil || len(bundle) < 44 {
		return fmt.Errorf("the bundle is too short")
	}
	shared, err := curve25519.X25519(p.ephemeral.Priv[:], p.companion)
	if err != nil {
		return err
	}
	key := hkdfutil.SHA256(shared, bundle[:32], []byte("link_code_pairing_key_bundle_encryption_key"), 32)
	plain, err := gcmutil.Decrypt(key, bundle[32:44], bundle[44:], nil)
	if err != nil || len(plain) != 96 {
		return fmt.Errorf("the code was another one: %w", err)
	}
	identity, err := curve25519.X25519(owner.keys.IdentityKey.Priv[:], c.wish.GetEIdent())
	if err != nil {
		return err
	}
	secret := hkdfutil.SHA256(append(append(shared, identity...), plain[64:]...), nil, []byte("adv_secret"), 32)
	time.AfterFunc(20*time.Millisecond, func() { _ = c.admit(context.WithoutCancel(ctx), owner, secret) }) // after the answer
	return nil
}

// passkeyPairing is a device that has to show a passkey.
type passkeyPairing struct {
	secret    []byte // of the code that was scanned
	challenge []byte
	ref       string
	prologue  *waCompanionReg.CompanionEphemeralIdentity
	ephemeral *keys.KeyPair
	nonce     []byte
	shared    []byte
}

func (n *Network) passkeyWanted(ctx context.Context, number string) (bool, error) {
	var wanted bool
	_, err := n.journal.one(ctx, []any{&wanted}, "SELECT passkey FROM linked_people WHERE number = $1", number)
	return wanted, err
}

// WantPasskey makes the next pairing of a number ask for a passkey.
func (n *Network) WantPasskey(ctx context.Context, number string) error {
	if _, err := n.people.byNumber(ctx, number); err != nil {
		return err
	}
	return n.journal.exec(ctx, "UPDATE linked_people SET passkey = 1 WHERE number = $1", number)
}

// askPasskey sends what a browser's authenticator needs.
func (c *client) askPasskey(owner *person, secret []byte) error {
	p := &passkeyPairing{secret: secret, challenge: make([]byte, 32), ref: newMessageID()}
	_, _ = rand.Read(p.challenge)
	c.pairing = &pairing{owner: owner, passkey: p}
	options, err := json.Marshal(map[string]any{
		"challenge": base64.RawURLEncoding.EncodeToString(p.challenge), "timeout": 600000, "rpId": "whatsapp.com",
		"allowCredentials": []any{map[string]any{"id": "bG9jYWw", "type": "public-key", "transports": []string{"internal"}}},
		"userVerification": "required", "extensions": map[string]any{},
	})
	if err != nil {
		return err
	}
	return c.stream.Write(waBinary.Node{Tag: "notification",
		Attrs:   waBinary.Attrs{"from": types.ServerJID, "type": "passkey_prologue_request", "id": "passkey-1", "t": time.Now().Unix()},
		Content: []waBinary.Node{{Tag: "passkey_request_options", Content: options}}})
}

// passkeyQuery is the device's side of linking with a passkey.
func (c *client) passkeyQuery(ctx context.Context, node *waBinary.Node) ([]waBinary.Node, int, error) {
	if c.pairing == nil || c.pairing.passkey == nil {
		return nil, 400, nil
	}
	p := c.pairing.passkey
	for _, child := range node.GetChildren() {
		body, _ := child.Content.([]byte)
		switch child.Tag {
		case "ref":
			return []waBinary.Node{{Tag: "ref", Content: []byte(p.ref)}}, 0, nil
		case "passkey_prologue":
			if code := p.checkPrologue(&child); code != 0 {
				return nil, code, nil
			}
			time.AfterFunc(20*time.Millisecond, func() { _ = c.continuePasskey() })
			return nil, 0, nil
		case "companion_nonce":
			p.nonce = body
			return nil, 0, nil
		case "encrypted_pairing_request":
			return nil, c.finishPasskey(ctx, body), nil
		}
	}
	return nil, 400, nil
}

// checkPrologue checks that the assertion answers our challenge, as a server does before it looks at signatures.
func (p *passkeyPairing) checkPrologue(node *waBinary.Node) int {
	assertion, _ := node.GetChildByTag("webauthn_assertion").Content.([]byte)
	var response types.WebAuthnResponse
	var said struct {
		Challenge string `json:"challenge"`
	}
	if json.Unmarshal(assertion, &response) != nil || json.Unmarshal(response.Response.ClientDataJSON, &said) != nil ||
		strings.TrimRight(said.Challenge, "=") != base64.RawURLEncoding.EncodeToString(p.challenge) {
		return 401
	}
	body, _ := node.GetChildByTag("prologue_payload").Content.([]byte)
	var payload waCompanionReg.ProloguePayload
	p.prologue = &waCompanionReg.CompanionEphemeralIdentity{}
	if proto.Unmarshal(body, &payload) != nil || proto.Unmarshal(payload.GetCompanionEphemeralIdentity(), p.prologue) != nil ||
		p.prologue.GetRef() != p.ref || len(p.prologue.GetPublicKey()) != 32 {
		return 400
	}
	return 0
}

func (c *client) continuePasskey() error {
	p := c.pairing.passkey
	p.ephemeral = keys.NewKeyPair()
	nonce := make([]byte, 32)
	_, _ = rand.Read(nonce)
	shared, err := curve25519.X25519(p.ephemeral.Priv[:], p.prologue.GetPublicKey())
	if err != nil {
		return err
	}
	p.shared = shared
	body, err := proto.Marshal(&waCompanionReg.PrimaryEphemeralIdentity{PublicKey: p.ephemeral.Pub[:], Nonce: nonce})
	if err != nil {
		return err
	}
	return c.stream.Write(waBinary.Node{Tag: "notification",
		Attrs:   waBinary.Attrs{"from": types.ServerJID, "type": "crsc_continuation", "id": "passkey-2", "t": time.Now().Unix()},
		Content: []waBinary.Node{{Tag: "primary_ephemeral_identity", Content: body}}})
}

// finishPasskey opens the device's request and admits it with the secret inside.
func (c *client) finishPasskey(ctx context.Context, body []byte) int {
	p, owner := c.pairing.passkey, c.pairing.owner
	if p.shared == nil {
		return 400
	}
	salt := fmt.Sprintf("Companion Pairing %d with ref %s", p.prologue.GetDeviceType(), p.ref)
	key := hkdfutil.SHA256(p.shared, []byte(salt), []byte("Pairing Information Encryption Key"), 32)
	var wrapped waCompanionReg.EncryptedPairingRequest
	var request waCompanionReg.PairingRequest
	if proto.Unmarshal(body, &wrapped) != nil {
		return 400
	}
	plain, err := gcmutil.Decrypt(key, wrapped.GetIV(), wrapped.GetEncryptedPayload(), nil)
	if err != nil || proto.Unmarshal(plain, &request) != nil || string(request.GetCompanionPublicKey()) != string(c.key[:]) {
		return 401
	}
	n := c.network
	if err = n.journal.exec(ctx, "UPDATE linked_people SET passkey = 0 WHERE number = $1", owner.number); err != nil {
		return 400
	}
	time.AfterFunc(20*time.Millisecond, func() { _ = c.admit(context.WithoutCancel(ctx), owner, request.GetAdvSecret()) })
	return 0
}
