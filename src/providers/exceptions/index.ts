import { absorbLms } from './absorb-lms.ts';
import { agiloft } from './agiloft.ts';
import { braintree } from './braintree.ts';
import { bullhorn } from './bullhorn.ts';
import { clover } from './clover.ts';
import { coros } from './coros.ts';
import { facebook } from './facebook.ts';
import { fanvue } from './fanvue.ts';
import { figma } from './figma.ts';
import { followUpBoss } from './followupboss.ts';
import { jobber } from './jobber.ts';
import { longLivedToken } from './long-lived-meta-token.ts';
import { mercury } from './mercury.ts';
import { microsoftAdmin } from './microsoft-admin.ts';
import { microsoftTeamsBot } from './microsoft-teams-bot.ts';
import { oneDrive } from './one-drive.ts';
import { publicClient } from './public-client.ts';
import { revolutBusiness } from './revolut-business.ts';
import { salesforce } from './salesforce.ts';
import { sentryOauth } from './sentry-oauth.ts';
import { shoplineOauth } from './shopline-oauth.ts';
import { slack } from './slack.ts';
import { stripeApp } from './stripe-app.ts';
import { tiktokAccounts, tiktokAds, tiktokPersonal } from './tiktok.ts';
import type { TokenException } from './token-exception.ts';
import { walmart } from './walmart.ts';
import { workdayOauth } from './workday-oauth.ts';

/** By the name an entry gives in `token_exchange_script`. */
export const tokenExceptions: ReadonlyMap<string, TokenException> = new Map(
    Object.entries({
        'absorb-lms': absorbLms,
        agiloft,
        'attio-mcp': publicClient,
        braintree,
        bullhorn,
        clover,
        coros,
        facebook,
        fanvue,
        figma,
        followupboss: followUpBoss,
        heygen: publicClient,
        instagram: longLivedToken('ig'),
        jobber,
        mercury,
        'microsoft-admin': microsoftAdmin,
        'microsoft-teams-bot': microsoftTeamsBot,
        'one-drive': oneDrive,
        'posthog-oauth': publicClient,
        'revolut-business': revolutBusiness,
        salesforce,
        'sentry-oauth': sentryOauth,
        'shopline-oauth': shoplineOauth,
        slack,
        'stripe-app': stripeApp,
        threads: longLivedToken('th'),
        'tiktok-accounts': tiktokAccounts,
        'tiktok-ads': tiktokAds,
        'tiktok-personal': tiktokPersonal,
        walmart,
        'workday-oauth': workdayOauth,
    }),
);
