ALTER TABLE "rounds" ADD COLUMN "provider_turn" json;--> statement-breakpoint
CREATE OR REPLACE FUNCTION "rounds_bytes"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  new.bytes := octet_length(new.calls::text) + octet_length(new.outputs::text)
    + coalesce(octet_length(new.provider_turn::text), 0);
  RETURN new;
END
$$;
