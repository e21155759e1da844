CREATE TABLE "decisions" (
	"id" text PRIMARY KEY NOT NULL,
	"tenant" text NOT NULL,
	"thread_id" text NOT NULL,
	"run_id" text NOT NULL,
	"position" bigint DEFAULT nextval('positions') NOT NULL,
	"tool" text NOT NULL,
	"decided_at" bigint NOT NULL,
	"body" json NOT NULL
);
--> statement-breakpoint
CREATE INDEX "decisions_page" ON "decisions" USING btree ("run_id","position");--> statement-breakpoint
CREATE INDEX "decisions_of_thread" ON "decisions" USING btree ("thread_id");