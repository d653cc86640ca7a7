package testnetwork

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/keys/identity"
	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/session"
	"go.mau.fi/libsignal/util/optional"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

var serializer = store.SignalProtobufSerializer

// person is somebody with a phone: a number, a hidden id, and the keys of that phone.
type person struct {
	number string
	lid    string
	keys   *store.Device
}

func (p *person) pn() types.JID     { return types.NewJID(p.number, types.DefaultUserServer) }
func (p *person) lidJID() types.JID { return types.NewJID(p.lid, types.HiddenUserServer) }
func (p *person) chatID() string    { return p.number + "@c.us" }

// people are all who were ever spoken of. A number becomes a person when it is first named.
type people struct {
	journal *journal
	lock    sync.Mutex
	known   map[string]*person
	numbers map[string]string // by LID
}

func newPeople(j *journal) *people {
	return &people{journal: j, known: map[string]*person{}, numbers: map[string]string{}}
}

// lidOf is the hidden id of a number: always the same, and not to be guessed by reading it.
func lidOf(number string) string {
	sum := sha256.Sum256([]byte("hidden id of " + number))
	return fmt.Sprintf("%d", 10_000_000_000_000+binary.BigEndian.Uint64(sum[:8])%90_000_000_000_000)
}

// byNumber gives the person with a number. The lock is never held while the file is used.
func (p *people) byNumber(ctx context.Context, number string) (*person, error) {
	p.lock.Lock()
	known := p.known[number]
	p.lock.Unlock()
	if known != nil {
		return known, nil
	}
	one := &person{number: number, lid: lidOf(number)}
	keys, err := p.journal.container.GetDevice(ctx, one.pn())
	if err == nil && keys == nil {
		if err = p.create(ctx, one); err == nil {
			keys, err = p.journal.container.GetDevice(ctx, one.pn()) // another may have been quicker
		}
	}
	if err != nil {
		return nil, err
	}
	if keys == nil {
		return nil, fmt.Errorf("the keys of %s are missing", number)
	}
	one.keys = keys
	p.lock.Lock()
	defer p.lock.Unlock()
	if known = p.known[number]; known != nil {
		return known, nil
	}
	p.known[number] = one
	p.numbers[one.lid] = number
	return one, nil
}

func (p *people) create(ctx context.Context, one *person) error {
	keys := p.journal.container.NewDevice()
	jid := one.pn()
	keys.ID, keys.LID = &jid, one.lidJID()
	filler := make([]byte, 64)
	_, _ = rand.Read(filler)
	keys.Account = &waAdv.ADVSignedDeviceIdentity{
		Details: []byte{0}, AccountSignature: filler, AccountSignatureKey: filler[:32], DeviceSignature: filler,
	}
	return p.journal.transaction(ctx, func(ctx context.Context) error {
		if err := keys.Save(ctx); err != nil {
			return err
		}
		return p.journal.exec(ctx, "INSERT INTO linked_people (number, lid) VALUES ($1, $2) ON CONFLICT DO NOTHING", one.number, one.lid)
	})
}

// byLID gives the person with a hidden id; nil: nobody has it.
func (p *people) byLID(ctx context.Context, lid string) (*person, error) {
	p.lock.Lock()
	number, known := p.numbers[lid]
	p.lock.Unlock()
	if !known {
		found, err := p.journal.one(ctx, []any{&number}, "SELECT number FROM linked_people WHERE lid = $1", lid)
		if err != nil || !found {
			return nil, err
		}
	}
	return p.byNumber(ctx, number)
}

// byJID gives the person of an address; nil: there is none.
func (p *people) byJID(ctx context.Context, jid types.JID) (*person, error) {
	switch jid.Server {
	case types.HiddenUserServer:
		return p.byLID(ctx, jid.User)
	case types.DefaultUserServer, types.LegacyUserServer:
		return p.byNumber(ctx, jid.User)
	default:
		return nil, nil
	}
}

// bundle is what others need to write to this person's phone.
func (p *person) bundle(ctx context.Context) (*keyBundle, error) {
	one, err := p.keys.PreKeys.GenOnePreKey(ctx)
	if err != nil {
		return nil, err
	}
	signed := p.keys.SignedPreKey
	return &keyBundle{
		registration: p.keys.RegistrationID, identity: *p.keys.IdentityKey.Pub,
		preKeyID: one.KeyID, preKey: one.Pub,
		signedID: signed.KeyID, signedKey: *signed.Pub, signature: *signed.Signature,
	}, nil
}

// keyBundle are the public keys of a device.
type keyBundle struct {
	registration uint32
	identity     [32]byte
	preKeyID     uint32
	preKey       *[32]byte
	signedID     uint32
	signedKey    [32]byte
	signature    [64]byte
}

func (b *keyBundle) signal(device uint32) *prekey.Bundle {
	id := optional.NewEmptyUint32()
	var one ecc.ECPublicKeyable
	if b.preKey != nil {
		id = optional.NewOptionalUint32(b.preKeyID)
		one = ecc.NewDjbECPublicKey(*b.preKey)
	}
	return prekey.NewBundle(b.registration, device, id, b.signedID, one,
		ecc.NewDjbECPublicKey(b.signedKey), b.signature, identity.NewKey(ecc.NewDjbECPublicKey(b.identity)))
}

// decrypt opens what a linked device wrote to this person's phone.
func (p *person) decrypt(ctx context.Context, from types.JID, kind string, body []byte) ([]byte, error) {
	builder := session.NewBuilderFromSignal(p.keys, from.SignalAddress(), serializer)
	cipher := session.NewCipher(builder, from.SignalAddress())
	if kind == "pkmsg" {
		message, err := protocol.NewPreKeySignalMessageFromBytes(body, serializer.PreKeySignalMessage, serializer.SignalMessage)
		if err != nil {
			return nil, err
		}
		plain, err := cipher.DecryptMessage(ctx, message)
		return unpad(plain, err)
	}
	message, err := protocol.NewSignalMessageFromBytes(body, serializer.SignalMessage)
	if err != nil {
		return nil, err
	}
	plain, err := cipher.Decrypt(ctx, message)
	return unpad(plain, err)
}

// encrypt closes a message for a linked device. `fetch` is asked for the device's keys when there is no session.
func (p *person) encrypt(ctx context.Context, to types.JID, plain []byte, fetch func() (*keyBundle, error)) (kind string, body []byte, err error) {
	address := to.SignalAddress()
	builder := session.NewBuilderFromSignal(p.keys, address, serializer)
	known, err := p.keys.ContainsSession(ctx, address)
	if err != nil {
		return "", nil, err
	}
	if !known {
		bundle, err := fetch()
		if err != nil {
			return "", nil, err
		}
		if err = builder.ProcessBundle(ctx, bundle.signal(uint32(to.Device))); err != nil {
			return "", nil, err
		}
	}
	sealed, err := session.NewCipher(builder, address).Encrypt(ctx, pad(plain))
	if err != nil {
		return "", nil, err
	}
	kind = "msg"
	if sealed.Type() == protocol.PREKEY_TYPE {
		kind = "pkmsg"
	}
	return kind, sealed.Serialize(), nil
}

func pad(plain []byte) []byte {
	var one [1]byte
	_, _ = rand.Read(one[:])
	n := one[0]&0xf + 1
	out := append([]byte(nil), plain...)
	for range int(n) {
		out = append(out, n)
	}
	return out
}

func unpad(plain []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	if len(plain) == 0 {
		return nil, fmt.Errorf("an empty message")
	}
	n := int(plain[len(plain)-1])
	if n == 0 || n > len(plain) {
		return nil, fmt.Errorf("a message without padding")
	}
	return plain[:len(plain)-n], nil
}
