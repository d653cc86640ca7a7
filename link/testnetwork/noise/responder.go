// Package noise is the server's side of WhatsApp's transport: Noise_XX_25519_AESGCM_SHA256 inside a WebSocket.
package noise

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/util/keys"
	"golang.org/x/crypto/curve25519"
	"google.golang.org/protobuf/proto"
)

const pattern = "Noise_XX_25519_AESGCM_SHA256\x00\x00\x00\x00"

// Header is what a client writes before its first frame.
var Header = []byte{'W', 'A', 6, 3}

// symmetric is the state of a handshake: hash, chaining key and cipher.
type symmetric struct {
	hash    []byte
	chain   []byte
	aead    cipher.AEAD
	counter uint32
}

func newSymmetric() (*symmetric, error) {
	s := &symmetric{hash: []byte(pattern), chain: []byte(pattern)}
	aead, err := gcm([]byte(pattern))
	if err != nil {
		return nil, err
	}
	s.aead = aead
	s.mixHash(Header)
	return s, nil
}

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func nonce(counter uint32) []byte {
	out := make([]byte, 12)
	binary.BigEndian.PutUint32(out[8:], counter)
	return out
}

func (s *symmetric) mixHash(data []byte) {
	sum := sha256.Sum256(append(append([]byte(nil), s.hash...), data...))
	s.hash = sum[:]
}

func (s *symmetric) mixKey(private, public [32]byte) error {
	secret, err := curve25519.X25519(private[:], public[:])
	if err != nil {
		return err
	}
	first, second, err := s.expand(secret)
	if err != nil {
		return err
	}
	s.chain, s.counter = first, 0
	s.aead, err = gcm(second)
	return err
}

func (s *symmetric) expand(secret []byte) (first, second []byte, err error) {
	out, err := hkdf.Key(sha256.New, secret, s.chain, "", 64)
	if err != nil {
		return nil, nil, err
	}
	return out[:32], out[32:], nil
}

func (s *symmetric) encrypt(plain []byte) []byte {
	sealed := s.aead.Seal(nil, nonce(s.counter), plain, s.hash)
	s.counter++
	s.mixHash(sealed)
	return sealed
}

func (s *symmetric) decrypt(sealed []byte) ([]byte, error) {
	plain, err := s.aead.Open(nil, nonce(s.counter), sealed, s.hash)
	if err != nil {
		return nil, err
	}
	s.counter++
	s.mixHash(sealed)
	return plain, nil
}

// Identity is the server's long-lived key, and the chain that proves it.
type Identity struct {
	Static      *keys.KeyPair
	Certificate []byte
}

// Result is an open transport: who the client is, what it said of itself, and the two ciphers.
type Result struct {
	ClientKey [32]byte
	Payload   *waWa6.ClientPayload
	read      cipher.AEAD
	write     cipher.AEAD
}

// handshake runs the server's side. `receive` and `send` move one frame each.
func handshake(identity Identity, receive func() ([]byte, error), send func([]byte) error) (*Result, error) {
	state, err := newSymmetric()
	if err != nil {
		return nil, err
	}
	hello, err := readMessage(receive)
	if err != nil {
		return nil, err
	}
	clientEphemeral := hello.GetClientHello().GetEphemeral()
	if len(clientEphemeral) != 32 {
		return nil, fmt.Errorf("the client's hello has no key")
	}
	state.mixHash(clientEphemeral)
	ephemeral := keys.NewKeyPair()
	state.mixHash(ephemeral.Pub[:])
	if err = state.mixKey(*ephemeral.Priv, [32]byte(clientEphemeral)); err != nil {
		return nil, err
	}
	static := state.encrypt(identity.Static.Pub[:])
	if err = state.mixKey(*identity.Static.Priv, [32]byte(clientEphemeral)); err != nil {
		return nil, err
	}
	certificate := state.encrypt(identity.Certificate)
	answer, err := proto.Marshal(&waWa6.HandshakeMessage{ServerHello: &waWa6.HandshakeMessage_ServerHello{
		Ephemeral: ephemeral.Pub[:], Static: static, Payload: certificate,
	}})
	if err != nil {
		return nil, err
	}
	if err = send(answer); err != nil {
		return nil, err
	}
	return finish(state, ephemeral, receive)
}

func finish(state *symmetric, ephemeral *keys.KeyPair, receive func() ([]byte, error)) (*Result, error) {
	last, err := readMessage(receive)
	if err != nil {
		return nil, err
	}
	static, err := state.decrypt(last.GetClientFinish().GetStatic())
	if err != nil || len(static) != 32 {
		return nil, fmt.Errorf("the client's key cannot be read: %w", err)
	}
	if err = state.mixKey(*ephemeral.Priv, [32]byte(static)); err != nil {
		return nil, err
	}
	plain, err := state.decrypt(last.GetClientFinish().GetPayload())
	if err != nil {
		return nil, fmt.Errorf("the client's payload cannot be read: %w", err)
	}
	payload := &waWa6.ClientPayload{}
	if err = proto.Unmarshal(plain, payload); err != nil {
		return nil, err
	}
	first, second, err := state.expand(nil)
	if err != nil {
		return nil, err
	}
	result := &Result{ClientKey: [32]byte(static), Payload: payload}
	if result.read, err = gcm(first); err != nil {
		return nil, err
	}
	result.write, err = gcm(second)
	return result, err
}

func readMessage(receive func() ([]byte, error)) (*waWa6.HandshakeMessage, error) {
	body, err := receive()
	if err != nil {
		return nil, err
	}
	message := &waWa6.HandshakeMessage{}
	return message, proto.Unmarshal(body, message)
}
