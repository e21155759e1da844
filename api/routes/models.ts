/** Routes of the models that runs may use. Rule: see `route.ts`. */
import { ApiError } from '../../protocol/errors.ts';
import { quote } from '../../protocol/rules/validation.ts';
import { idParam, route } from '../route.ts';
import type { Route } from '../route.ts';

export const modelRoutes: readonly Route[] = [
  route('GET', '/v1/models', {
    summary: 'List the models that runs may ask for, all on one page',
    returns: { object: 'Model', list: true },
    handle: async ({ models, caller }) => ({
      json: { object: 'list', data: await models(caller.tenant) },
    }),
  }),
  route('GET', '/v1/models/{model}', {
    summary: 'Retrieve a model',
    returns: { object: 'Model' },
    handle: async (input) => {
      const id = idParam(input, 'model');
      const found = (await input.models(input.caller.tenant)).find((model) => model.id === id);
      if (found === undefined)
        throw new ApiError(
          404,
          `The model ${quote(id)} does not exist here: GET /v1/models lists those that do.`,
          {
            param: 'model',
            code: 'model_not_found',
          },
        );
      return { json: found };
    },
  }),
];
