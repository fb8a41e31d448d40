package state

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestGatewayRulesKeepTheirOrder(t *testing.T) {
	db, ctx := open(t), t.Context()
	for _, r := range []GatewayRule{{PolicyRule, "b", "1"}, {PolicyRule, "a", "2"}, {ExceptionRule, "a", "3"}, {PolicyRule, "b", "4"}, {PolicyRule, "c", "5"}} {
		must(t, db.SaveGatewayRule(ctx, r))
	}
	check := func(kind RuleKind, want ...GatewayRule) {
		t.Helper()
		got, err := db.GatewayRules(ctx, kind)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	a, b, c := GatewayRule{PolicyRule, "a", "2"}, GatewayRule{PolicyRule, "b", "4"}, GatewayRule{PolicyRule, "c", "5"}
	check(PolicyRule, b, a, c)
	check(ExceptionRule, GatewayRule{ExceptionRule, "a", "3"})
	must(t, db.OrderGatewayRules(ctx, PolicyRule, []string{"c", "b", "a"}))
	check(PolicyRule, c, b, a)
	if err := db.OrderGatewayRules(ctx, PolicyRule, []string{"a", "d"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("an order with an unknown id: %v", err)
	}
	check(PolicyRule, c, b, a)
	must(t, db.DeleteGatewayRule(ctx, PolicyRule, "b"))
	if err := db.DeleteGatewayRule(ctx, ExceptionRule, "b"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted what is not there: %v", err)
	}
	check(PolicyRule, c, a)
}

func TestGatewayAuthorities(t *testing.T) {
	db, ctx := open(t), t.Context()
	second := GatewayAuthority{"a", "certificates", "sealed", noon.Add(time.Second)}
	first := GatewayAuthority{"b", "certificates", "sealed", noon}
	must(t, db.AddGatewayAuthority(ctx, second))
	must(t, db.AddGatewayAuthority(ctx, first))
	if err := db.AddGatewayAuthority(ctx, first); !errors.Is(err, ErrExists) {
		t.Errorf("added twice: %v", err)
	}
	got, err := db.GatewayAuthorities(ctx)
	must(t, err)
	if want := []GatewayAuthority{first, second}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	must(t, db.DeleteGatewayAuthority(ctx, "b"))
	if err := db.DeleteGatewayAuthority(ctx, "b"); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted what is not there: %v", err)
	}
}

func TestAuditEntriesByPrefix(t *testing.T) {
	db, ctx := open(t), t.Context()
	for _, action := range []string{"gateway.policy.enable", "gatewayx", "gateway_policy", "session.start"} {
		must(t, db.Audit(ctx, AuditEntry{Time: noon, Action: action, Summary: "enabled", Outcome: OK}))
	}
	got, err := db.AuditEntries(ctx, "gateway.", 10)
	must(t, err)
	if len(got) != 1 || got[0].Action != "gateway.policy.enable" || got[0].Summary != "enabled" {
		t.Errorf("got %+v", got)
	}
}
