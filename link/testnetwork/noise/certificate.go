package noise

import (
	"time"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/proto/waCert"
	"go.mau.fi/whatsmeow/util/keys"
	"google.golang.org/protobuf/proto"
)

const (
	intermediateSerial = 1
	leafSerial         = 2
)

// Certify makes the chain root, intermediate, leaf for a server's key, valid in the given time.
func Certify(root, static *keys.KeyPair, from, until time.Time) ([]byte, error) {
	middle := keys.NewKeyPair()
	intermediate, err := sign(root, 0, intermediateSerial, middle.Pub[:], from, until)
	if err != nil {
		return nil, err
	}
	leaf, err := sign(middle, intermediateSerial, leafSerial, static.Pub[:], from, until)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(&waCert.CertChain{Intermediate: intermediate, Leaf: leaf})
}

func sign(issuer *keys.KeyPair, issuerSerial, serial uint32, key []byte, from, until time.Time) (*waCert.CertChain_NoiseCertificate, error) {
	details, err := proto.Marshal(&waCert.CertChain_NoiseCertificate_Details{
		Serial: proto.Uint32(serial), IssuerSerial: proto.Uint32(issuerSerial), Key: key,
		NotBefore: proto.Uint64(uint64(from.Unix())), NotAfter: proto.Uint64(uint64(until.Unix())),
	})
	if err != nil {
		return nil, err
	}
	signature := ecc.CalculateSignature(ecc.NewDjbECPrivateKey(*issuer.Priv), details)
	return &waCert.CertChain_NoiseCertificate{Details: details, Signature: signature[:]}, nil
}
