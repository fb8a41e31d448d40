package authority

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"

	"golang.org/x/crypto/scrypt"
)

// Passphrase opens a sealed key. It never prints itself.
type Passphrase []byte

// Format keeps the passphrase out of whatever fmt writes, for every verb.
func (p Passphrase) Format(f fmt.State, _ rune) { io.WriteString(f, p.String()) }

// LogValue keeps the passphrase out of logs.
func (p Passphrase) LogValue() slog.Value { return slog.StringValue(p.String()) }

func (p Passphrase) String() string { return fmt.Sprintf("REDACTED(%d bytes)", len(p)) }

// sealedType names an encrypted PKCS#8 key in PEM (RFC 7468 §11).
const sealedType = "ENCRYPTED PRIVATE KEY"

// The cost of the key derivation: OpenSSL's for scrypt, which it opens within its limit of memory.
const (
	scryptN, scryptR, scryptP = 16384, 8, 1
	saltLen, keyLen           = 16, 32
)

var (
	oidPBES2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt    = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11} // RFC 7914
	oidAES256CBC = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

// sealed is EncryptedPrivateKeyInfo with PBES2 (RFC 5958 §3, RFC 8018 §6.2).
type sealed struct {
	Algorithm struct {
		ID     asn1.ObjectIdentifier
		Params struct{ KDF, Cipher pkix.AlgorithmIdentifier }
	}
	Data []byte
}

type scryptParams struct {
	Salt    []byte
	N, R, P int
	KeyLen  int `asn1:"optional"`
}

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLen     int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

// Seal returns the key in PEM: encrypted in the standard form that OpenSSL reads and writes too, or, without a passphrase, open.
func Seal(key crypto.PrivateKey, p Passphrase) ([]byte, error) {
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	if len(p) == 0 {
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: plain}), nil
	}
	return seal(sealedType, plain, p)
}

// seal encrypts what opens with the passphrase. It takes the plaintext over.
func seal(kind string, plain []byte, p Passphrase) ([]byte, error) {
	salt, iv := make([]byte, saltLen), make([]byte, aes.BlockSize)
	rand.Read(salt) // never fails
	rand.Read(iv)
	secret, err := scrypt.Key(p, salt, scryptN, scryptR, scryptP, keyLen)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	var s sealed
	s.Algorithm.ID = oidPBES2
	s.Algorithm.Params.KDF, err = algorithm(oidScrypt, scryptParams{Salt: salt, N: scryptN, R: scryptR, P: scryptP})
	if err != nil {
		return nil, err
	}
	s.Algorithm.Params.Cipher, err = algorithm(oidAES256CBC, iv)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, fmt.Errorf("encrypt private key: %w", err)
	}
	padding := aes.BlockSize - len(plain)%aes.BlockSize
	for range padding {
		plain = append(plain, byte(padding))
	}
	s.Data = make([]byte, len(plain))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(s.Data, plain)
	der, err := asn1.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode encrypted key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), nil
}

func algorithm(id asn1.ObjectIdentifier, params any) (pkix.AlgorithmIdentifier, error) {
	der, err := asn1.Marshal(params)
	return pkix.AlgorithmIdentifier{Algorithm: id, Parameters: asn1.RawValue{FullBytes: der}}, err
}
