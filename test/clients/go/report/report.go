// Package report prints the steps of a client program: each is one JSON line on standard output. A failed step ends nothing; a
// later step that needs its result fails by ErrNotReached.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// What the scripted model server offers: one call and an answer, and words: five, two with 17 s between them, 21 with 1 s.
const (
	Calling  = "scripted:weather"
	Words    = "scripted:words:5"
	Silent   = "scripted:words:2x17000"
	Dripping = "scripted:words:21x1000"
	Function = "get_current_weather"
	Output   = "mild"
	Answer   = "The current weather in San Francisco, CA: mild"
)

// Said is what a model of words says.
func Said(count int) string {
	words := make([]string, count)
	for index := range words {
		words[index] = fmt.Sprintf("word%d", index+1)
	}
	return strings.Join(words, " ")
}

// ErrNotReached is the failure of a step whose forerunner failed.
var ErrNotReached = errors.New("not reached: an earlier step failed")

// Parameters of the function tool.
var Parameters = map[string]any{
	"type":       "object",
	"properties": map[string]any{"location": map[string]any{"type": "string"}},
	"required":   []string{"location"},
}

// URL and KEY name the server, as docs/how-to/migrate-a-program.md calls them.
var URL, KEY = os.Getenv("BASE_URL"), os.Getenv("API_KEY")

type line struct {
	Step   string `json:"step"`
	OK     *bool  `json:"ok"`
	Detail string `json:"detail"`
}

func write(step string, ok *bool, detail string) {
	text, err := json.Marshal(line{step, ok, detail})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

// Step runs work and prints how it went.
func Step(name string, work func() error) {
	err := work()
	ok, detail := err == nil, ""
	if err != nil {
		detail = fmt.Sprintf("%T: %v", err, err)
	}
	write(name, &ok, detail)
}

// Absent says that the client offers no such call.
func Absent(name, why string) { write(name, nil, why) }

// Same fails when the two differ.
func Same(actual, expected any) error {
	if a, e := fmt.Sprint(actual), fmt.Sprint(expected); a != e {
		return fmt.Errorf("%s is not %s", a, e)
	}
	return nil
}

// Follow reads a run until it waits or has ended.
func Follow[Run any](run Run, status func(Run) string, read func(Run) (Run, error)) (Run, error) {
	for {
		switch status(run) {
		case "queued", "in_progress", "cancelling":
		default:
			return run, nil
		}
		time.Sleep(100 * time.Millisecond)
		next, err := read(run)
		if err != nil {
			return run, err
		}
		run = next
	}
}
