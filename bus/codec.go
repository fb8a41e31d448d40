package bus

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/internal/run"
)

const (
	// batchBytes is how much JSON makes a batch; only a single record may be longer. With it, even what does not compress fits into the 1 MiB that a NATS server
	// takes by default.
	batchBytes = 1<<20 - 32<<10
	// maxDecoded bounds what a batch may decompress to: at most batchBytes, or one record.
	maxDecoded = 64 << 20
)

// codec turns records into the payload of a message and back: newline-separated JSON, compressed by zstd (RFC 8878).
// Safe for concurrent use.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newCodec() (*codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2))
	if err != nil {
		return nil, fmt.Errorf("make compressor: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxDecoded), zstd.WithDecoderConcurrency(2))
	if err != nil {
		return nil, fmt.Errorf("make decompressor: %w", err)
	}
	return &codec{enc, dec}, nil
}

func (c *codec) close() { c.dec.Close() }

func (c *codec) encode(lines []byte) []byte { return c.enc.EncodeAll(lines, nil) }

// appendLine appends a record as one line. On an error buf is as before.
func appendLine(buf *bytes.Buffer, r *event.Record) error {
	before := buf.Len()
	if err := json.NewEncoder(buf).Encode(r); err != nil {
		buf.Truncate(before)
		return fmt.Errorf("encode event: %w", err)
	}
	return nil
}

// decode returns the records of a payload, and how many bytes their JSON has. It works on both halves at once: reading JSON is
// what a consumer takes the most time for.
func (c *codec) decode(payload []byte) (records []*event.Record, size int, err error) {
	lines, err := c.dec.DecodeAll(payload, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("decompress batch: %w", err)
	}
	middle := bytes.LastIndexByte(lines[:len(lines)/2], '\n') + 1
	var second []*event.Record
	failed := make(chan error, 1)
	go func() {
		failed <- run.Protect(func() (err error) {
			second, err = decodeLines(lines[middle:])
			return err
		})
	}()
	first, err := decodeLines(lines[:middle])
	if err := cmp.Or(err, <-failed); err != nil {
		return nil, 0, err
	}
	return append(first, second...), len(lines), nil
}

func decodeLines(lines []byte) (records []*event.Record, err error) {
	for line := range bytes.Lines(lines) {
		r := new(event.Record)
		if err := json.Unmarshal(line, r); err != nil {
			return nil, fmt.Errorf("decode event: %w", err)
		}
		records = append(records, r)
	}
	return records, nil
}
