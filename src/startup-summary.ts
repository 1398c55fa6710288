/** What a person sees when Valetkey has started: where it is, what it uses, and what to try next. */
import type { App } from './app.ts';
import type { Config } from './config.ts';
import { version } from './version.ts';

/** `activityPage`: of the twins, in simulate mode. */
export function startupSummary(config: Config, app: Pick<App, 'database' | 'newApiKeys' | 'keySource'>, activityPage?: string): string {
    const key = app.newApiKeys.get('dev') ?? config.secretKeys.get('dev');
    const isShown = app.newApiKeys.has('dev') || activityPage !== undefined;
    const shown = isShown ? key! : '$VALETKEY_SECRET_KEY';
    const rows = [
        ['API', config.publicUrl],
        ['OAuth callback', `${config.publicUrl}/oauth/callback`],
        ...(config.connectUi.isServed ? [['Connect UI', config.connectUiUrl]] : []),
        ['Database', app.database.description],
        ['Encryption key', app.keySource],
        ...(config.metrics === undefined ? [] : [['Metrics', `http://${config.metrics.host}:${config.metrics.port}/metrics`]]),
        ...(activityPage === undefined
            ? []
            : [
                  ['Simulated providers', activityPage],
                  ['API key (dev)', key],
              ]),
        ...[...app.newApiKeys]
            .filter(([name]) => activityPage === undefined || name !== 'dev')
            .map(([environment, value]) => [`API key (${environment})`, value]),
    ];
    const width = Math.max(...rows.map(([name]) => name!.length));
    return [
        '',
        `  Valetkey ${version} is ready.${activityPage === undefined ? '' : ' All providers are simulated: nothing leaves this machine.'}`,
        '',
        ...rows.map(([name, value]) => `  ${name!.padEnd(width)}  ${value}`),
        ...(app.newApiKeys.size > 0 ? ['', '  These API keys are shown once. Keep them where your backend keeps its secrets.'] : []),
        '',
        '  Try next:',
        ...(activityPage === undefined ? [] : [`    Open ${activityPage}, pick Salesforce or Slack, and press Connect. No developer app is needed.`]),
        `    curl ${config.publicUrl}/health`,
        `    curl -H "Authorization: Bearer ${shown}" "${config.publicUrl}/providers?search=github"`,
        `    curl -H "Authorization: Bearer ${shown}" -H "Content-Type: application/json" \\`,
        `         -d '{"provider":"github-pat","unique_key":"github-pat"}' ${config.publicUrl}/integrations`,
        '',
        '',
    ].join('\n');
}
