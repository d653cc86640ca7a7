package behaviour

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Faults hold for every recipient, until they are changed.
type Faults struct {
	LatencyMS      float64 `json:"latency_ms"`
	TransientRate  float64 `json:"transient_rate"`
	LostAnswerRate float64 `json:"lost_answer_rate"`
	Offline        bool    `json:"offline"`
	Receipts       bool    `json:"receipts"`
	Seed           *int64  `json:"seed"`

	LateAckS             float64 `json:"late_ack_s"`
	DropAckRate          float64 `json:"drop_ack_rate"`
	CloseBeforeStoreRate float64 `json:"close_before_store_rate"`
	CloseAfterStoreRate  float64 `json:"close_after_store_rate"`
}

// NoFaults is how the network begins.
func NoFaults() Faults { return Faults{Receipts: true} }

const (
	maxLatencyMS = 600_000
	maxLateAckS  = 600
)

// FieldError names the field that is wrong.
type FieldError struct {
	Field   string
	Message string
}

func (e *FieldError) Error() string { return e.Message }

// Changed is `before` with what `wish` names; an empty wish puts everything back to normal.
func Changed(before Faults, wish []byte) (Faults, error) {
	var named map[string]json.RawMessage
	if err := json.Unmarshal(wish, &named); err != nil {
		return before, &FieldError{"", "The body must be a JSON object"}
	}
	if len(named) == 0 {
		return NoFaults(), nil
	}
	after := before
	decoder := json.NewDecoder(bytes.NewReader(wish))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&after); err != nil {
		return before, &FieldError{wrongField(named), err.Error()}
	}
	for name, share := range map[string]float64{
		"transient_rate": after.TransientRate, "lost_answer_rate": after.LostAnswerRate, "drop_ack_rate": after.DropAckRate,
		"close_before_store_rate": after.CloseBeforeStoreRate, "close_after_store_rate": after.CloseAfterStoreRate,
	} {
		if !(share >= 0 && share <= 1) {
			return before, &FieldError{name, fmt.Sprintf("%s must be a share from 0 to 1", name)}
		}
	}
	if !(after.LatencyMS >= 0 && after.LatencyMS <= maxLatencyMS) {
		return before, &FieldError{"latency_ms", fmt.Sprintf("latency_ms must be milliseconds from 0 to %d", maxLatencyMS)}
	}
	if !(after.LateAckS >= 0 && after.LateAckS <= maxLateAckS) {
		return before, &FieldError{"late_ack_s", fmt.Sprintf("late_ack_s must be seconds from 0 to %d", maxLateAckS)}
	}
	return after, nil
}

func wrongField(named map[string]json.RawMessage) string {
	for name, value := range named {
		one, _ := json.Marshal(map[string]json.RawMessage{name: value})
		decoder := json.NewDecoder(bytes.NewReader(one))
		decoder.DisallowUnknownFields()
		var probe Faults
		if decoder.Decode(&probe) != nil {
			return name
		}
	}
	return ""
}
