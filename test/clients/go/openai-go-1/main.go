// Command openai-go-1: github.com/openai/openai-go 1.12, the last version of the official client before 2 and 3.
package main

import (
	"context"
	"errors"

	"durable-runs.invalid/clients/report"
	"github.com/openai/openai-go"
	"github.com/openai/openai-go/option"
)

var ctx = context.Background()
var client = openai.NewClient(
	option.WithBaseURL(report.URL), option.WithAPIKey(report.KEY), option.WithMaxRetries(0))
var threads = &client.Beta.Threads

func follow(run *openai.Run) (*openai.Run, error) {
	return report.Follow(run,
		func(run *openai.Run) string { return string(run.Status) },
		func(run *openai.Run) (*openai.Run, error) { return threads.Runs.Get(ctx, run.ThreadID, run.ID) })
}

func assistantOf(model string, tools ...openai.AssistantToolUnionParam) (*openai.Assistant, error) {
	return client.Beta.Assistants.New(ctx, openai.BetaAssistantNewParams{Model: model, Tools: tools})
}

func start(assistant *openai.Assistant) (*openai.Run, error) {
	if assistant == nil {
		return nil, report.ErrNotReached
	}
	content := openai.BetaThreadNewParamsMessageContentUnion{OfString: openai.String("Weather?")}
	thread, err := threads.New(ctx, openai.BetaThreadNewParams{
		Messages: []openai.BetaThreadNewParamsMessage{{Role: "user", Content: content}},
	})
	if err != nil {
		return nil, err
	}
	run, err := threads.Runs.New(ctx, thread.ID, openai.BetaThreadRunNewParams{AssistantID: assistant.ID})
	if err != nil {
		return nil, err
	}
	return follow(run)
}

func submit(run *openai.Run) error {
	if run == nil {
		return report.ErrNotReached
	}
	var outputs []openai.BetaThreadRunSubmitToolOutputsParamsToolOutput
	for _, call := range run.RequiredAction.SubmitToolOutputs.ToolCalls {
		outputs = append(outputs, openai.BetaThreadRunSubmitToolOutputsParamsToolOutput{
			ToolCallID: openai.String(call.ID), Output: openai.String(report.Output),
		})
	}
	params := openai.BetaThreadRunSubmitToolOutputsParams{ToolOutputs: outputs}
	run, err := threads.Runs.SubmitToolOutputs(ctx, run.ThreadID, run.ID, params)
	if err != nil {
		return err
	}
	if run, err = follow(run); err != nil {
		return err
	}
	return report.Same(run.Status, openai.RunStatusCompleted)
}

func streamed(model, expected string) error {
	assistant, err := assistantOf(model)
	if err != nil {
		return err
	}
	stream := threads.NewAndRunStreaming(ctx, openai.BetaThreadNewAndRunParams{AssistantID: assistant.ID})
	defer stream.Close()
	text, last := "", ""
	for stream.Next() {
		last = stream.Current().Event
		if delta, ok := stream.Current().AsAny().(openai.AssistantStreamEventThreadMessageDelta); ok {
			text += delta.Data.Delta.Content[0].Text.Value
		}
	}
	if err := stream.Err(); err != nil {
		return err
	}
	return report.Same([]string{text, last}, []string{expected, "thread.run.completed"})
}

func pages() error {
	thread, err := threads.New(ctx, openai.BetaThreadNewParams{})
	if err != nil {
		return err
	}
	for _, text := range []string{"one", "two", "three"} {
		content := openai.BetaThreadMessageNewParamsContentUnion{OfString: openai.String(text)}
		message := openai.BetaThreadMessageNewParams{Role: "user", Content: content}
		if _, err := threads.Messages.New(ctx, thread.ID, message); err != nil {
			return err
		}
	}
	list := threads.Messages.ListAutoPaging(ctx, thread.ID,
		openai.BetaThreadMessageListParams{Limit: openai.Int(1), Order: "asc"})
	var texts []string
	for list.Next() {
		texts = append(texts, list.Current().Content[0].Text.Value)
	}
	if err := list.Err(); err != nil {
		return err
	}
	return report.Same(texts, []string{"one", "two", "three"})
}

func main() {
	var assistant *openai.Assistant
	var run *openai.Run
	report.Step("assistant", func() (err error) {
		assistant, err = assistantOf(report.Calling, openai.AssistantToolParamOfFunction(
			openai.FunctionDefinitionParam{Name: report.Function, Parameters: report.Parameters}))
		return err
	})
	report.Step("run", func() (err error) {
		if run, err = start(assistant); err != nil {
			return err
		}
		return report.Same(run.Status, openai.RunStatusRequiresAction)
	})
	report.Step("submit", func() error { return submit(run) })
	report.Step("message", func() error {
		if run == nil {
			return report.ErrNotReached
		}
		list, err := threads.Messages.List(ctx, run.ThreadID, openai.BetaThreadMessageListParams{})
		if err != nil {
			return err
		}
		return report.Same(list.Data[0].Content[0].Text.Value, report.Answer)
	})
	report.Step("stream", func() error { return streamed(report.Words, report.Said(5)) })
	report.Step("silence", func() error { return streamed(report.Silent, report.Said(2)) })
	report.Step("dripping", func() error { return streamed(report.Dripping, report.Said(21)) })
	report.Step("paging", pages)
	report.Step("cancel", func() error {
		waiting, err := start(assistant)
		if err != nil {
			return err
		}
		cancelling, err := threads.Runs.Cancel(ctx, waiting.ThreadID, waiting.ID)
		if err != nil {
			return err
		}
		cancelled, err := follow(cancelling)
		if err != nil {
			return err
		}
		return report.Same(cancelled.Status, openai.RunStatusCancelled)
	})
	report.Step("error", func() error {
		interpreter := openai.NewCodeInterpreterToolParam()
		_, err := assistantOf(report.Calling, openai.AssistantToolUnionParam{OfCodeInterpreter: &interpreter})
		var refused *openai.Error
		if !errors.As(err, &refused) {
			return err
		}
		return report.Same([]any{refused.StatusCode, refused.Code}, []any{400, "unsupported_parameter"})
	})
}
