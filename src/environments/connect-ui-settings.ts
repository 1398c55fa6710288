/** How the Connect UI looks for an environment (webhooks §4.8). */
import type { ConnectUiSettings, EnvironmentSettingsRow } from '../store/schema.ts';

/** Our own colours; the watermark is off unless somebody wants it. */
export const defaultConnectUiSettings: Required<ConnectUiSettings> = {
    defaultTheme: 'system',
    theme: { light: { primary: '#1f5eff' }, dark: { primary: '#7aa2ff' } },
    showWatermark: false,
    closeOnSuccess: false,
};

/** What was set, or the defaults. */
export const connectUiSettings = (row: Pick<EnvironmentSettingsRow, 'connect_ui'> | undefined): Required<ConnectUiSettings> => ({
    ...defaultConnectUiSettings,
    ...row?.connect_ui,
});
