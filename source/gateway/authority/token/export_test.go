package token

import "time"

// Keep sets how long an unused session is kept.
func (k *Key) Keep(d time.Duration) { k.keep = d }
