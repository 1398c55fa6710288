/** A call that can be pasted into a shell, with the operation's own examples. */
import type { Operation, Parameter } from './description.ts';

const credentials: Readonly<Record<string, string>> = { apiKey: '$VALETKEY_API_KEY', connectSession: '$CONNECT_SESSION_TOKEN' };

export function curlOf(operation: Operation, request: { method: string; path: string; publicUrl: string }): string {
    const parameters = (operation.parameters ?? []).filter(
        (parameter): parameter is Parameter => 'name' in parameter && parameter.example !== undefined,
    );
    const path = request.path.replaceAll(/\{(\w+)\}/g, (_all, name: string) =>
        encoded(parameters.find((parameter) => parameter.name === name && parameter.in === 'path')?.example ?? name),
    );
    const scheme = Object.keys(operation.security[0] ?? {})[0];
    const query = [
        // Expanded by the shell; everything else is encoded.
        ...(scheme === 'connectSessionInQuery' ? ['connect_session_token=$CONNECT_SESSION_TOKEN'] : []),
        ...parameters.filter((parameter) => parameter.in === 'query').flatMap(queryOf),
    ];
    const bearer = scheme === undefined ? undefined : credentials[scheme];
    const body = operation.requestBody?.content['application/json']?.example;
    const url = `${request.publicUrl}${path}${query.length === 0 ? '' : `?${query.join('&')}`}`;
    return [
        `curl ${request.method === 'GET' ? '' : `-X ${request.method} `}"${url}"`,
        ...(bearer === undefined ? [] : [`-H "Authorization: Bearer ${bearer}"`]),
        ...(body === undefined ? [] : ["-H 'Content-Type: application/json'", `-d '${JSON.stringify(body, undefined, 2).replaceAll("'", `'\\''`)}'`]),
    ].join(' \\\n  ');
}

function queryOf({ name, example }: Parameter): string[] {
    const entries: [string, unknown][] = Array.isArray(example)
        ? example.map((value) => [name, value])
        : typeof example === 'object' && example !== null
          ? Object.entries(example).map(([key, value]) => [`${name}[${key}]`, value])
          : [[name, example]];
    return entries.map(([key, value]) => `${encodeURIComponent(key)}=${encoded(value)}`);
}

const encoded = (value: unknown): string => encodeURIComponent(typeof value === 'string' ? value : JSON.stringify(value));
