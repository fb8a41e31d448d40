package queue

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCloseKeepsWhatWasPut(t *testing.T) {
	q := New[int](3)
	for i := range 3 {
		q.Put(i)
	}
	q.Close()
	q.Close()
	if q.Put(3) || q.Offer(3) {
		t.Error("a closed queue took an item")
	}
	if got := slices.Collect(q.All()); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("read %v", got)
	}
}

func TestOfferDropsWhenFull(t *testing.T) {
	q := New[int](1)
	if !q.Offer(1) || q.Offer(2) {
		t.Error("want the first item taken and the second dropped")
	}
	if q.Len() != 1 {
		t.Errorf("%d items wait", q.Len())
	}
}

func TestPutWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New[int](1)
		q.Put(1)
		put := false
		go func() { put = q.Put(2) }()
		synctest.Wait()
		if put {
			t.Error("Put did not wait")
		}
		<-q.Items()
		synctest.Wait()
		if !put {
			t.Error("Put waits although there is room")
		}
	})
}

func TestLeaveFreesWriters(t *testing.T) {
	q := New[int](1)
	q.Put(0)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for q.Put(1) {
			}
		})
	}
	q.Leave()
	q.Leave()
	wg.Wait()
	if q.Put(2) || q.Offer(2) {
		t.Error("an item was taken after the reader had left")
	}
	q.Close()
}

func TestCloseWaitsForPuts(t *testing.T) {
	for range 100 {
		q := New[int](2)
		var mu sync.Mutex
		taken := 0
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for q.Put(1) {
					mu.Lock()
					taken++
					mu.Unlock()
				}
			})
		}
		read := 0
		for range q.All() {
			if read++; read == 50 {
				go q.Close()
			}
		}
		wg.Wait()
		if read != taken {
			t.Fatalf("%d items were taken, %d were read", taken, read)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	q := New[int](1024)
	go func() {
		for range q.All() {
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		q.Put(1)
	}
	q.Close()
}
