package authority

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"

	"golang.org/x/crypto/scrypt"
)

// What a file may make us spend: an encrypted key that asks for more is refused.
const (
	maxScryptMemory = 256 << 20 // bytes
	maxScryptP      = 16
	maxIterations   = 10_000_000
)

var (
	errNoPassphrase = errors.New("the key is encrypted: give its passphrase")
	errPassphrase   = errors.New("the passphrase does not open the key")
)

// unseal returns the PKCS#8 form inside an encrypted one.
func unseal(der []byte, p Passphrase) ([]byte, error) {
	var s sealed
	if rest, err := asn1.Unmarshal(der, &s); err != nil || len(rest) > 0 || !s.Algorithm.ID.Equal(oidPBES2) {
		return nil, errors.New("the key's encryption is unknown: encrypt it with \"openssl pkcs8 -topk8 -scrypt\"")
	}
	if len(p) == 0 {
		return nil, errNoPassphrase
	}
	size, ok := aesCBC[s.Algorithm.Params.Cipher.Algorithm.String()]
	var iv []byte
	if _, err := asn1.Unmarshal(s.Algorithm.Params.Cipher.Parameters.FullBytes, &iv); !ok || err != nil || len(iv) != aes.BlockSize {
		return nil, errors.New("the key's cipher is unknown: encrypt it with AES in CBC mode")
	}
	secret, err := derive(s.Algorithm.Params.KDF, p, size)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	if len(s.Data) == 0 || len(s.Data)%aes.BlockSize != 0 {
		return nil, errors.New("the encrypted key is cut")
	}
	plain := make([]byte, len(s.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, s.Data)
	padding := int(plain[len(plain)-1])
	if padding == 0 || padding > aes.BlockSize {
		return nil, errPassphrase
	}
	return plain[:len(plain)-padding], nil
}

// aesCBC are the lengths of the keys.
var aesCBC = map[string]int{"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, "2.16.840.1.101.3.4.1.42": 32}

// prfs are the hashes that PBKDF2 may use; none means SHA-1 (RFC 8018 §A.2).
var prfs = map[string]func() hash.Hash{
	"": sha1.New, "1.2.840.113549.2.7": sha1.New, "1.2.840.113549.2.9": sha256.New, "1.2.840.113549.2.11": sha512.New,
}

// derive makes the key of a cipher from the passphrase, at a cost that is bounded.
func derive(kdf pkix.AlgorithmIdentifier, p Passphrase, size int) ([]byte, error) {
	switch {
	case kdf.Algorithm.Equal(oidScrypt):
		var s scryptParams
		if _, err := asn1.Unmarshal(kdf.Parameters.FullBytes, &s); err != nil {
			return nil, fmt.Errorf("read the key's encryption: %w", err)
		}
		if s.N <= 1 || s.R <= 0 || s.P <= 0 || s.P > maxScryptP || s.N > maxScryptMemory/128/s.R {
			return nil, errors.New("the key's encryption wants too much memory or time")
		}
		return scrypt.Key(p, s.Salt, s.N, s.R, s.P, size)
	case kdf.Algorithm.Equal(oidPBKDF2):
		var s pbkdf2Params
		if _, err := asn1.Unmarshal(kdf.Parameters.FullBytes, &s); err != nil {
			return nil, fmt.Errorf("read the key's encryption: %w", err)
		}
		prf := prfs[s.PRF.Algorithm.String()]
		if prf == nil || s.Iterations < 1 || s.Iterations > maxIterations {
			return nil, errors.New("the key's encryption has an unknown hash, or wants too much time")
		}
		return pbkdf2.Key(prf, string(p), s.Salt, s.Iterations, size)
	}
	return nil, errors.New("the key's encryption is unknown: encrypt it with \"openssl pkcs8 -topk8 -scrypt\"")
}
