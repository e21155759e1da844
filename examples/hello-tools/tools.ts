import { defineTools } from 'durable-runs/worker';
import { z } from 'zod';

const DEGREES: Record<string, number> = { Oslo: 4, Nairobi: 24 };

export default defineTools({
  get_temperature: {
    description: 'Temperature of a city, in degrees Celsius.',
    parameters: z.object({ city: z.string() }),
    // A thrown error is retried. What a retry can't repair is an output that the model reads.
    execute: ({ city }) => DEGREES[city] ?? `No temperature is known for ${city}.`,
  },
});
